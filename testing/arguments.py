"""Checks the system call arguments that BPF programs read on a real kernel, and generates docs/arguments.md.

The programs use this library's KSYSCALL_PROG() macro, the Rust crate ksyscall-ebpf, or libbpf's BPF_KSYSCALL() macro.
The running kernel reports the number and types of a call's arguments in
/sys/kernel/tracing/events/syscalls/sys_enter_*/format. The kernel derives this information from the
definition of the syscall function.
"""

import re
from dataclasses import dataclass

from testing import matrix
from testing.build import ROOT
from testing.results import Results

PAGE = ROOT / "docs/arguments.md"
SIDES = "ours", "rust", "theirs"
EVENTS = "/sys/kernel/tracing/events/syscalls"


class Arguments(matrix.CellJob):
    """Runs the programs that read arguments, one after another."""

    def __init__(self, cell):
        super().__init__(cell, "arguments", 80, **{
            side: f"LD_PRELOAD=/m/libksyscall.so.1 /m/arguments /m/{side}.bpf.o" for side in SIDES},
            events=f"uname -r; cd {EVENTS}; grep field: sys_enter_*/format")

    def prepare(self, machine, jobs):
        self.put(machine, matrix.programs(self.cell), "arguments", "libksyscall.so.1",
                 *(f"{side}.bpf.o" for side in SIDES))


# --- Results of a run --------------------------------------------------------------

@dataclass
class Call:
    """A line that c-tests/matrix/arguments.c prints."""

    name: str
    number: int
    attached: str
    hits: int
    seen_number: int
    is_compat: bool
    count: int
    seen: list[int]
    made: list[int]
    # The multiplexer through which the call is made: socketcall, ipc or an empty string.
    multiplexer: str = ""


def calls(text):
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 19:
            name, number, attached, hits, seen_number, is_compat, count, *words = fields
            words = [int(word, 16) for word in words]
            multiplexer, _, call = name.rpartition(":")
            found[name] = Call(call, int(number), attached, int(hits), int(seen_number), is_compat == "1",
                               int(count), words[:6], words[6:], multiplexer)
    return found


def prototypes(text):
    """Maps function names, without `sys_`, to parameter types. Omits functions without parameters."""
    found = {}
    for event, kind in re.findall(r"^sys_enter_(\w+)/format:\tfield:(.*?)\w+;\toffset", text, re.M):
        found.setdefault(event, []).append(kind.strip())
    # The first five fields of an event are not arguments of the call. Since Linux 6.19, the last fields
    # contain the data that some arguments point to.
    return {event: [kind for kind in kinds[5:] if "__data_loc" not in kind] for event, kinds in found.items()}


def functions(table):
    """Maps calls to the functions that may serve them, as listed in src/calls/tables."""
    found = {}
    for line in (ROOT / f"src/calls/tables/{table}.tbl").read_text().splitlines():
        name, _, rest = re.sub(r"@<?[0-9.]+", "", line).partition(" ")
        if not name.startswith("#") and not rest.startswith("="):
            own = [word for word in rest.replace("|", " ").split() if word != "-"]
            found[name.rstrip("?")] = [*own, f"sys_{name.rstrip('?')}"]
    return found


SIGNED = {"long", "off_t"}
NOT_COUNTED = re.compile(r"fork|vfork|(rt_)?sigreturn")


class Shown:
    """The results of a cell's runs: lines for the report, and the test points that passed or failed."""

    def __init__(self, cell, out=matrix.OUT):
        self.process = cell.process
        folder = out / cell.process
        texts = {name: (folder / f"{cell.suite}.{name}").read_text() for name in (*SIDES, "events")}
        self.kernel = texts["events"].partition("\n")[0]
        self.types = prototypes(texts["events"])
        # A 64-bit kernel lists no prototypes for functions that serve only 32-bit callers. A kernel for the 32-bit
        # architecture lists these prototypes.
        for file in sorted((out / cell.architecture.name).glob("*.events")) if "@" in cell.process else ():
            self.types = prototypes(file.read_text()) | self.types
        self.functions = functions(cell.architecture.table)
        self.has_32_bits = cell.architecture.registers.bits == 32
        ours, rust, theirs = (calls(texts[side]) for side in SIDES)
        self.results, self.unknown, self.calls, self.all = Results(), [], 0, 0
        self.right, missed = dict.fromkeys(SIDES, 0), []
        self.multiplexed = self.through_multiplexers(ours, rust)
        self.path_row = self.path(texts)
        for name, call in ours.items():
            if call.attached != "ok" or not call.hits or call.multiplexer:
                continue
            kinds = self.kinds(call)
            self.calls += bool(kinds)
            self.all += len(kinds)
            self.right["ours"] += self.judge(name, kinds, call)
            self.right["rust"] += self.judge(f"{name}, in Rust", kinds, rust.get(name))
            if (their := theirs.get(name)) and their.hits:
                wrong = self.wrong_arguments(kinds, their)
                self.right["theirs"] += len(kinds) - len(wrong)
                missed += [name] * bool(wrong)
        if len(self.results.points) < 200 or "# end" not in texts["ours"]:
            text = f"{len(self.results.points)} calls were made\n{texts['ours'][:500]}"
            self.results.add("failed", "each call", text)
        unread = re.search("^# does not load: (.*)", texts["theirs"], re.M)
        right = "-" if unread else self.right["theirs"]
        self.row = (f"| {cell.process} | {self.kernel} | {self.calls} | {self.all} | {right}"
                    f" | {self.right['ours']} | {self.right['rust']} |")
        where = f"- {cell.process}, {self.kernel}:"
        self.notes = [f"{where} `{point.name}`: {point.reason}" for point in self.results.of("failed")]
        if unread:
            self.notes.append(f"{where} BPF_KSYSCALL: no program loads: {unread[1]}")
        elif missed:
            self.notes.append(f"{where} BPF_KSYSCALL: " + (f"{len(missed)} calls" if len(missed) > 40 else
                                                           " ".join(f"`{name}`" for name in missed)))
        if self.unknown:
            self.notes.append(f"{where} not counted, because the kernel has no prototype: "
                              + " ".join(f"`{name}`" for name in self.unknown))

    def through_multiplexers(self, ours, rust):
        """Returns the table row for calls through socketcall and ipc, or an empty value if there are no such calls."""
        made = {name: self.kinds(call) for name, call in ours.items() if call.multiplexer}
        fired, right = [], []
        for side, language in (ours, "C"), (rust, "Rust"):
            fired.append(sum(side[name].hits == 1 for name in made if name in side))
            right.append(sum(self.judge(f"{name}, in {language}", kinds, side.get(name), is_once=True)
                             for name, kinds in made.items()))
        words = sum(map(len, made.values()))
        return made and (f"| {self.process} | {self.kernel} | {fired[0]} of {len(made)} | {fired[1]} of {len(made)}"
                         f" | {right[0]} of {words} | {right[1]} of {words} |")

    def path(self, texts):
        """Returns the table row that shows what the programs read for a path that is not in memory."""
        read = []
        for side, language in ("ours", "C"), ("rust", "Rust"):
            line = re.search("^# path\t(.*)\t(.*)\t(.*)\t(.*)", texts[side], re.M)
            seen = line.groups() if line else ("no line",)
            name = f"a path that is not in memory, in {language}"
            if self.process == "riscv64" and seen[0] == "EOPNOTSUPP":
                self.results.add("skipped", name, "the kernel allows no return probe")
                read.append("no return probe")
                continue
            is_right = seen == ("ok", "-14", "18", "/proc/self/status")
            self.results.add("passed" if is_right else "failed", name, " ".join(seen))
            read.append(f"`{seen[-1]}`")
        return f"| {self.process} | {self.kernel} | -EFAULT | {read[0]} | {read[1]} |"

    def judge(self, name, kinds, call, is_once=False):
        """Adds the result for a call, as one side's program saw it. Returns the number of right arguments. If `is_once`
        is set, the program must have run only once."""
        if not call or not call.hits:
            self.results.add("failed", name, "the program did not run")
            return 0
        wrong = self.wrong(kinds, call)
        if is_once and call.hits != 1:
            wrong.append(f"programs ran {call.hits} times")
        self.results.add("failed" if wrong else "passed", name, "; ".join(wrong))
        return len(kinds) - len(self.wrong_arguments(kinds, call))

    def kinds(self, call):
        """Returns the types of the call's arguments. If the program itself reports the number of arguments, the types
        are empty strings."""
        if call.count:
            return [""] * call.count
        for function in self.functions.get(call.name, [f"sys_{call.name}"]):
            kinds = self.types.get(re.sub("^(compat_)?sys_", "", function))
            if kinds is not None:
                return kinds
        if not NOT_COUNTED.fullmatch(call.name):
            self.unknown.append(call.name)
        return []

    def wrong_arguments(self, kinds, call):
        """Describes each argument whose value in the program differs from the value that the caller passed."""
        wrong = []
        for n, (kind, seen, word) in enumerate(zip(kinds, call.seen, call.made, strict=False), 1):
            if self.has_32_bits and kind in SIGNED and word >> 31:
                word |= 0xffffffff << 32
            # The kernel may have extended an int to the register's full width.
            if seen != word and (kind != "__s32" or (seen ^ word) & 0xffffffff):
                wrong.append(f"argument {n} is {seen:#x}, not {word:#x}")
        return wrong

    def wrong(self, kinds, call):
        wrong = self.wrong_arguments(kinds, call)
        if call.seen_number != call.number:
            wrong.append(f"the number is {call.seen_number}, not {call.number}")
        if call.is_compat != ("@" in self.process):
            wrong.append(f"is_compat is {call.is_compat}")
        return wrong


# The crate's tests compile both examples.
EXAMPLE = ROOT / "ebpf/doc/pread.rs"
KEPT_EXAMPLE = ROOT / "ebpf/doc/path.rs"
# testing/test_rust.py runs this example.
PATH_EXAMPLE = ROOT / "examples/path.bpf.c"
HEAD = """\
# Arguments in BPF programs

The macros in `ksyscall.bpf.h` read a call's arguments in a BPF program. `make install` installs this header alongside
`ksyscall.h`:

```c
#include <linux/bpf.h>            /* or vmlinux.h */
#include <bpf/bpf_helpers.h>
#include <ksyscall.bpf.h>

SEC("ksyscall/pread64")
int KSYSCALL_PROG(on_pread, pread64, int fd, void *buf, unsigned long count, long long offset)
{
	bpf_printk("%d: %lu bytes at %lld", fd, count, offset);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
```

    clang -target bpf -O2 -g -D__TARGET_ARCH_x86 -idirafter /usr/include/x86_64-linux-gnu \\
        $(pkg-config --cflags libksyscall) -c pread.bpf.c

Declare the parameters in the order and with the types that the call's man page lists. The same object file works on
kernels whose syscall functions receive a pointer to the caller's registers, and on kernels whose functions receive the
arguments themselves. The object file also works for 32-bit callers. The macros join 64-bit values that are passed in
two words, and sign-extend `long` arguments. The macros follow the man page even if the kernel's function receives the
arguments in another order (`clone`, `sync_file_range`, `posix_fadvise`), in other units (`mmap` and `mmap2`), or
through a pointer to all of them (`mmap` on s390 and i386, `select` on i386).

| Macro | Value |
|---|---|
| `KSYSCALL_ARG(ctx, call, n)` | The nth argument |
| `KSYSCALL_SLOT(ctx, n)` | The nth word as the caller passed it |
| `KSYSCALL_NR(ctx)` | The call's number |
| `KSYSCALL_IS_COMPAT(ctx)` | Whether a 32-bit process made the call on a 64-bit kernel |

The header documents what each macro guarantees and how it works. The header does not require libbpf's `bpf_tracing.h`.
Any loader, including aya, can load the compiled object. On x86-64, `KSYSCALL_IS_COMPAT` requires a kernel with BTF and
a loader that can read this BTF. If the program is attached for native callers only, compile with
`-DKSYSCALL_CALLERS=KSYSCALL_NATIVE` to remove this requirement.

libbpf 1.7's `BPF_KSYSCALL` is more limited. This macro requires a kernel with BTF, and a loader that sets
`LINUX_HAS_SYSCALL_WRAPPER` (libbpf 1.0 and later, cilium/ebpf 0.11 and later, but not aya 0.14). On POWER, whose
syscall functions have no prefix, the macro mistakes the pointer to the registers for the first argument. `BPF_KSYSCALL`
supports only native callers, and does not join or reorder words.

## Strings and buffers that are not in memory

At a call's entry, `bpf_probe_read_user_str()` and `bpf_probe_read_user()` return -EFAULT (-14) for a valid pointer if
the page that it points to is not in memory. For example, the page may have been swapped out, or may contain a string
constant that the process has not accessed yet. A BPF program at a kprobe cannot wait for the kernel to load the page.
The system call itself can wait, so the page is in memory once the call has read its argument.

Therefore, store the pointer at entry, and read the string at the return. `KSYSCALL_KEPT_MAP(map, entries)` defines a
map with one pointer for each thread, and `KSYSCALL_KEEP(map, pointer)` stores the pointer.
`KSYSCALL_TAKE_STR(map, to, size)` removes the pointer from the map and reads the string. `KSYSCALL_TAKE(map)` removes
the pointer and returns it. [examples/path.bpf.c](../examples/path.bpf.c) uses these macros to read the path of
openat(2). For comparison, the example also reads the path at entry:

```c
""" + PATH_EXAMPLE.read_text() + """```

[examples/path.c](../examples/path.c) attaches both programs and calls openat. The path lies in a mapped page that the
process has not accessed yet. The command `python3 -m pytest testing -k not_in_memory` runs this example. On Linux 5.10,
6.1, 6.12 and 7.2, the output is:

    at entry: Bad address
    at return: /proc/self/status

[Other architectures](#a-path-that-is-not-in-memory) give the same result, except riscv64 with Linux 6.12.

Reading at the return costs a return probe and three hash map operations for each call. The map uses about 100 bytes for
each entry, whether the entry is used or not.

Limitations of reading at the return:

- By the time a successful execve(2) returns, the old memory is gone. Instead, attach to the tracepoint
  `sched:sched_process_exec`, which provides a copy of the path in kernel memory. If execve fails, the path can be read
  as described above.
- Another thread may change the string after the kernel has read it and before the program reads it. The result is good
  enough for tracing, but not for enforcing a policy ([SECURITY.md](../SECURITY.md)).
- If a call fails before it reads the argument, the page may still not be in memory, and then the read at the return
  also fails.
- If the return is lost ([returns.md](returns.md)), the string is lost too. The pointer stays in the map until the
  thread makes the same system call again. The map is an LRU hash: when it is full, it drops the least recently used
  entries, which may belong to calls in progress. The number of entries must exceed the number of threads that can
  execute the probed call at the same time. `KSYSCALL_TAKE_STR` returns -ENOENT for a dropped entry.
- Linux 6.12 on riscv64 does not allow return probes on syscall functions ([errors.md](errors.md)).

A sleepable program can read the string at entry with `bpf_copy_from_user()` (Linux 5.10 and later), which waits for the
page. Kprobe programs cannot be sleepable. A program in the section `fentry.s/FUNCTION` can be sleepable if the kernel
was built with `CONFIG_FUNCTION_ERROR_INJECTION`. `ksyscall resolve NAME` prints FUNCTION.

## Calls through socketcall and ipc

On i386, s390 and POWER (and in 32-bit processes on MIPS), a process can make socket calls through socketcall(2), and
System V IPC calls through ipc(2). These two multiplexers carry out a call without entering the call's own function, so
a program that is attached to `connect` does not run for a `connect` that is made through `socketcall`. On i386, the C
library makes most of these calls through a multiplexer, and `accept`, `send`, `recv` and `semop` cannot be made in any
other way.

A program that is attached to `socketcall` runs for every call through `socketcall`. `KSYSCALL_SUBCALL_PROG` defines a
program that can be attached to both a call and its multiplexer. The program's body runs only for the call that the
macro names:

```c
SEC("kprobe")
int KSYSCALL_SUBCALL_PROG(on_connect, connect, int fd, const void *address, int length)
{
	bpf_printk("connect of %d", fd);
	return 0;
}
```

Attach this program to `connect` and `socketcall`: in Rust with
`Batch::new(["connect", "socketcall"])?.callers(Callers::All).attach(&program)?`, in C with `ksyscall_links__attach()`
and `.callers = KSYSCALL_CALLERS_ALL`. If some callers can make a call, such as `semop`, only through the multiplexer,
`Batch` and `ksyscall_links__attach()` also attach the program to the multiplexer. In that case, a program that does not
check which call was made runs for every call through the multiplexer.

| Macro | Value |
|---|---|
| `KSYSCALL_SUBCALL(ctx, ipc)` | The number of the call that `ipc` carries out, in a program that is attached to `ipc` |
| `KSYSCALL_SUBCALL_NR(semop)` | The number of semop |
| `KSYSCALL_SUBCALL_ARG(ctx, semop, n)` | The nth argument of semop, in the order of the man page |

In Rust, use `SubCall` and `Call::sub_call` instead of these macros. For each call, the header defines where the
arguments are, depending on the caller's word size. `ipc` receives the arguments in registers, except for the fourth
argument of `semctl` and two arguments of `msgrcv`, which are in the caller's memory. If the upper half of ipc's first
argument contains a version other than 0, all arguments of `msgrcv` are in registers. On s390, `ipc` has only five
arguments, so ipc's fourth argument contains the timeout of `semtimedop`.

Calls through `ipc` differ from their descriptions in the man pages in three ways. The command argument of `semctl`,
`msgctl` and `shmctl` includes the flag `IPC_64` (0x100), which the C library adds. The fourth argument of `semctl`, a
`union semun`, is passed as one word. `ipc` stores shmat's result at the address in ipc's fourth argument, and
returns 0. A program that is defined with `KSYSCALL_SUBCALL_PROG` compares the value of `KSYSCALL_NR` with the
multiplexer's number to determine how the call was made. If `KSYSCALL_NR` is -1 (unknown), attach the program to the
multiplexer only.

## From Rust (aya)

The crate [ksyscall-ebpf](../ebpf/src/lib.rs) implements the same rules for BPF programs in Rust, and has no
dependencies. `cargo test --doc --manifest-path ebpf/Cargo.toml` compiles this example,
[ebpf/doc/pread.rs](../ebpf/doc/pread.rs), with aya-ebpf:

```rust
""" + EXAMPLE.read_text() + """```

`Native` is the architecture that the program is built for. For BPF targets, the option
`--cfg bpf_target_arch="x86_64"`, which aya-build passes, selects the architecture. Store the result of `Layout::of` in
a constant. The program then does not contain the call's name, and `argument` compiles to two or three reads without a
loop.

`Callers` specifies whose calls the program sees. Use `Callers::Native` if the program is attached for native callers
only, and `Callers::Compat` if it is attached for 32-bit callers only (`ksyscall::Callers::Compat`). If the program sees
calls by both kinds of callers, use `Callers::Asked`. On arm64 and riscv64, the registers show whether the caller is a
32-bit process. On x86-64, a flag in the task's `thread_info` shows the kind of caller. Because Rust does not support
CO-RE, the loader must pass the flag's offset to the program, where `Memory::thread_status` reads the flag. The offset
is 16 bytes in Linux 5.11 and later, and 8 bytes in earlier versions.

Like the macros above, the trait `Kept` stores a pointer at entry and provides it at the return. The following example
is [ebpf/doc/path.rs](../ebpf/doc/path.rs), without the lines that it shares with the first example:

```rust
""" + re.sub("^# .*\n", "", KEPT_EXAMPLE.read_text(), flags=re.M) + """```

The crate's constants are generated from the header. A test checks that the crate and the header read the same values
from the same words, for each architecture, kind of caller and call (`python3 -m pytest testing/unit -k test_ebpf`). On
real kernels, the Rust programs are tested alongside the C programs (see the next section).

## Measurements

`make test-matrix` (`testing/test_arguments.py`) generates the tables below. The library attaches a program to every
call in the architecture's `<asm/unistd.h>`. The test makes each call with six different argument values, and the
program must read these values. If an argument's encoding depends on the architecture, the test calls the C library's
function instead. The kernel reports the number and types of each call's arguments in
`/sys/kernel/tracing/events/syscalls`. The program must also see the right call number and the right kind of caller.

For comparison, this library also attaches versions of the programs that use libbpf 1.7's `BPF_KSYSCALL`. The programs
are loaded by libbpf 1.5 on amd64 and riscv64, and by libbpf 1.1 on other architectures. In the tables, i386@amd64
stands for a 32-bit process, with 32-bit libraries, on a 64-bit kernel. For these processes, the test itself sets
`LINUX_HAS_SYSCALL_WRAPPER` to 1, because libbpf detects the wrappers only in a 64-bit process.

The same versions of libbpf also load Rust versions of the programs, which use ksyscall-ebpf and `Callers::Asked`
([arguments.bpf.rs](../c-tests/matrix/arguments.bpf.rs)). The Rust programs, and Rust's core library from the package
rust-src, are compiled with Debian 13's rustc 1.85, without bpf-linker (see [testing/ebpf.py](../testing/ebpf.py)). The
test fails if a program that uses this project's header or crate sees a wrong argument, number or caller.

| callers | kernel | calls | arguments | right with BPF_KSYSCALL | right with KSYSCALL_PROG | right with ksyscall-ebpf |
|---|---|---|---|---|---|---|
"""
MULTIPLEXED = """
### Through socketcall and ipc

For each call that `socketcall` or `ipc` carries out, the library attaches a program to that multiplexer. The test
makes each of these calls through its multiplexer, with six different argument values. The call's program must run once
and read these values, and no other program may run.

| callers | kernel | fired, KSYSCALL_SUBCALL_PROG | fired, ksyscall-ebpf | right in C | right in Rust |
|---|---|---|---|---|---|"""
PATHS = """
### A path that is not in memory

The test calls openat with a path in a mapped page that the process has not accessed yet. A program at the call's entry
tries to read the path and stores the pointer. A program at the call's return reads the path.

| callers | kernel | at entry | at return, KSYSCALL_TAKE_STR | at return, ksyscall-ebpf |
|---|---|---|---|---|"""


def report(shown, not_run):
    """Returns the page. `not_run` contains the reason for each cell that did not run."""
    rows, notes = [each.row for each in shown], [note for each in shown for note in each.notes]
    for cell, why in not_run.items():
        rows.append(f"| {cell.process} | of {cell.suite} | not run | | | | |")
        # Omit the package mirror's error message, which follows the first colon.
        notes.append(f"- {cell.process}, the kernel of {cell.suite}: not run: {why.partition(':')[0]}")
    multiplexed = [each.multiplexed for each in shown if each.multiplexed]
    paths = [each.path_row for each in shown]
    return HEAD + "\n".join([*rows, "", "Wrong or not counted:", "", *(notes or ["- nothing"]),
                             MULTIPLEXED, *multiplexed, PATHS, *paths]) + "\n"
