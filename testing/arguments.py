"""Checks the system call arguments that BPF programs read on a real kernel, and generates docs/arguments.md.

The programs use this library's KSYSCALL_PROG() macro, the Rust crate ksyscall-ebpf, or libbpf's BPF_KSYSCALL() macro.
The running kernel reports the number and types of a call's arguments in
/sys/kernel/tracing/events/syscalls/sys_enter_*/format. The kernel derives this information from the
definition of the syscall function.
"""

import re
from dataclasses import dataclass

from testing import matrix, pages
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
        self.row = [cell.process, self.kernel,
                    *map(str, (self.calls, self.all, right, self.right["ours"], self.right["rust"]))]
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
        return made and [self.process, self.kernel, *(f"{count} of {len(made)}" for count in fired),
                         *(f"{count} of {words}" for count in right)]

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
        return [self.process, self.kernel, "-EFAULT", *read]

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


HEAD = ["callers", "kernel", "calls", "arguments", "right with BPF_KSYSCALL", "right with KSYSCALL_PROG",
        "right with ksyscall-ebpf"]
MULTIPLEXED_HEAD = ["callers", "kernel", "fired, KSYSCALL_SUBCALL_PROG", "fired, ksyscall-ebpf", "right in C",
                    "right in Rust"]
PATH_HEAD = ["callers", "kernel", "at entry", "at return, KSYSCALL_TAKE_STR", "at return, ksyscall-ebpf"]


def report(shown, not_run):
    """Returns the results for the page. `not_run` contains the reason for each cell that did not run."""
    rows, notes = [each.row for each in shown], [note for each in shown for note in each.notes]
    for cell, why in not_run.items():
        rows.append([cell.process, f"of {cell.suite}", "not run", *[""] * 4])
        # Omit the package mirror's error message, which follows the first colon.
        notes.append(f"- {cell.process}, the kernel of {cell.suite}: not run: {why.partition(':')[0]}")
    return {"arguments": pages.table(HEAD, rows), "exceptions": "\n".join(notes or ["- nothing"]) + "\n",
            "multiplexers": pages.table(MULTIPLEXED_HEAD, [each.multiplexed for each in shown if each.multiplexed]),
            "paths": pages.table(PATH_HEAD, [each.path_row for each in shown])}
