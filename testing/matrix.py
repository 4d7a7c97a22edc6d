"""Attaches to every system call of an architecture by name, makes each call on a real kernel, and writes
the results into docs/coverage.md.

The module also builds the programs for other architectures. build/matrix contains each architecture's programs
and their output.
"""

import functools
import re
import shutil

from testing import build, ebpf, packages, pages, results
from testing.build import BUILD, ROOT, run
from testing.guests import Job
from testing.packages import CACHE, say
from testing.results import Results
from testing.targets import ARCHITECTURES, CELLS, SUITES
from testing.vm import Failure

OUT = BUILD / "matrix"
PAGE = ROOT / "docs/coverage.md"
SIDES = "libbpf", "libksyscall"
# The program is linked to libbpf.a in the first two runs, and to libbpf.so in the third.
RUNS = "libbpf", "static", "libksyscall"
# The libraries that libbpf.a requires. libbpf.a may require a newer C library than the compiler's own.
BESIDE_LIBBPF = "libelf.so.1", "libz.so.1", "libc.so.6"


# --- Building ---------------------------------------------------------------------

def cross_tree(arch):
    """Returns a Debian file tree that contains Rust and the cross compilers of the architecture's release. The tree is
    in the cache, and concurrent runs share it."""
    tree = CACHE / "cross" / arch.release
    with packages.locked(tree.with_name(f"{arch.release}.lock")):
        if not tree.exists():
            say(f"making a tree of {arch.release} with cross compilers (some minutes, once)")
            compilers = [f"gcc-{other.tools}" for other in ARCHITECTURES.values()
                         if other.release == arch.release and other.name != "amd64"]
            new = tree.with_name(f"{arch.release}.new")
            shutil.rmtree(new, ignore_errors=True)
            include = ",".join([*SUITES[arch.release].rust[:2], "gcc", "libc6-dev", "make", *compilers])
            run("debootstrap", "--variant=minbase", f"--include={include}", arch.release, new, packages.mirrors()[0])
            new.rename(tree)
        ready = tree / f"var/ready-for-{arch.name}"
        if not ready.exists():
            # The cross compilers' packages do not depend on a C library.
            libc = packages.unpack(arch.release, "amd64", *(f"{name}-{arch.name}-cross"
                                                            for name in ("libc6", "libc6-dev", "linux-libc-dev")))
            run("cp", "-a", f"{libc}/usr/.", tree / "usr")
            std = packages.unpack(arch.release, arch.name, SUITES[arch.release].rust[2])
            run("cp", "-a", f"{std}/usr/lib/rustlib/.", tree / "usr/lib/rustlib")
            (tree / "src/ksyscall").mkdir(parents=True, exist_ok=True)
            ready.touch()
    return tree


def inside(tree, source):
    """Returns a function that runs a command in a file tree, where programs cannot access this system's files.
    The command runs in `source`, which is the tree's /src/ksyscall for this command only: concurrent runs that use
    the tree see their own sources there."""
    return functools.partial(run, "unshare", "--mount", "sh", "-ec", """tree=$1
mount --bind "$2" "$tree/src/ksyscall"
shift 2
exec chroot "$tree" sh -c 'cd /src/ksyscall && exec "$@"' - "$@"
""", "-", tree, source)


def cross(arch):
    """Copies the sources and their dependencies. Returns the folder of the copy, and a function that runs a command
    there, in the tree with cross compilers."""
    tree, source = cross_tree(arch), BUILD / "cross" / arch.release
    build.copy_sources_and_crates(source)
    return source, inside(tree, source)


def runtime(arch):
    """Returns the libraries that an architecture's programs require."""
    release = SUITES[arch.release]
    return packages.unpack(release.name, arch.name, "libbpf1", *release.libraries)


@functools.cache
def toolchain(cell):
    """Builds the library for a cell's processes. Returns a folder for programs, a function that compiles a
    program from c-tests/matrix into that folder, and the names of the calls in <asm/unistd.h>."""
    arch, here = cell.architecture, f"build/matrix/{cell.process}"
    out = ROOT / here
    say(f"building for {cell.process}")
    headers = packages.unpack("sid", arch.name, "linux-libc-dev") / "usr/include"
    libbpf = packages.unpack(arch.release, arch.name, "libbpf-dev", "libbpf1") / "usr"
    libraries = runtime(arch)
    shutil.rmtree(out / "include", ignore_errors=True)
    # asm/ contains links to other folders of the package.
    for name in ("linux", "asm-generic", arch.multiarch):
        shutil.copytree(headers / name, out / "include/kernel" / name)
    shutil.copytree(libbpf / "include", out / "include/libbpf")
    for library in (libbpf / "lib" / arch.multiarch / "libbpf.so.1", libbpf / "lib" / arch.multiarch / "libbpf.a",
                    *(next(libraries.rglob(name)) for name in BESIDE_LIBBPF)):
        shutil.copy(library, out)
    (out / "unistd.c").write_text("#include <asm/unistd.h>\n")
    if arch.name == "amd64":
        top, cc, library, tool = ROOT, "cc", "build", run
        tool("make", "-s", "all")
    else:
        (top, tool), cc, library = cross(arch), f"{arch.gnu}-gcc", f"build/{arch.name}"
        shutil.rmtree(top / here, ignore_errors=True)
        shutil.copytree(out, top / here)
        tool("make", "-s", "all", f"BUILD={library}", f"TARGET={arch.rust}", f"CC={cc}",
             f"OBJCOPY={arch.gnu}-objcopy")
    shutil.copy(top / library / "libksyscall.so.1", top / here)
    kernel = ["-isystem", f"{here}/include/kernel/{arch.multiarch}", "-isystem", f"{here}/include/kernel"]
    # Use only these headers: the compiler's own headers may be older and lack new calls.
    calls = names_of_calls(tool(cc, "-E", "-dM", "-nostdinc", *kernel, f"{here}/unistd.c"))
    (top / here / "calls.h").write_text("".join(f'\t{{ "{name}", __NR_{name} }},\n' for name in calls))
    (top / here / "sub_calls.h").write_text("".join(
        f'\t{{ "{name}", __NR_{by}, "{by}", {number} }},\n'
        for name, (by, number) in sub_calls_of(calls).items()))

    def compile(program, *libraries, name=None):
        name, libraries = name or program, libraries or ("libbpf.so.1",)
        tool(cc, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_FILE_OFFSET_BITS=64",
             "-Wl,--allow-shlib-undefined", f"-I{here}", "-Iinclude", "-isystem", f"{here}/include/libbpf", *kernel,
             f"c-tests/matrix/{program}.c", "-o", f"{here}/{name}", *(f"{here}/{library}" for library in libraries))
        for file in (name, "libksyscall.so.1"):
            if top != ROOT:
                shutil.copy(top / here / file, out)
    return out, compile, calls


def kernel_program(cell, name, out):
    """Builds a BPF program for a cell's kernel."""
    build.bpf(f"c-tests/matrix/{name}.bpf.c", out / f"{name}.bpf.o", "-Wall", "-Wextra", "-Werror",
              "-target", cell.architecture.bpf, *cell.registers.defines())


@functools.cache
def attach_program(cell):
    """Builds the library and the tests for differences between architectures; returns their folder."""
    out, compile, _ = toolchain(cell)
    kernel_program(cell, "attach", out)
    compile("attach", "libksyscall.so.1", "libbpf.so.1")
    return out


@functools.cache
def programs(cell):
    """Builds the library and all programs for a cell's processes; returns their folder."""
    out, compile, calls = toolchain(cell)
    attach_program(cell)
    kernel_program(cell, "coverage", out)
    programs_of_arguments(cell, out, calls, list(sub_calls_of(calls)))
    for program in ("coverage", "arguments"):
        compile(program)
    compile("coverage", "libbpf.a", *BESIDE_LIBBPF, name="static")
    return out


def names_of_calls(macros):
    """Returns the names of the calls that <asm/unistd.h> defines."""
    return sorted(set(re.findall(r"^#define __NR_([a-z0-9_]+) ", macros, re.M)) - {"syscalls", "syscall_mask"})


def sub_calls_of(calls):
    """Maps the name of each sub-call to its multiplexer and its sub-call number, for the multiplexers that
    `calls` contains."""
    source = (ROOT / "src/calls/multiplexed.rs").read_text()
    rows = re.findall(r'\(\s*(SOCKETCALL|IPC),\s*(\d+),\s*"([^"]*)"', source)
    return {name: (by.lower(), number) for by, first, names in rows if by.lower() in calls
            for number, name in enumerate(names.replace("\\", " ").split(), int(first))}


def programs_of_arguments(cell, out, calls, sub_calls):
    """Builds the BPF programs that read the arguments of each call: with this library's macro, with the
    Rust crate ksyscall-ebpf, and with the newest libbpf's macro."""
    sub_calls = list(enumerate(sub_calls, len(calls)))
    (out / "calls.bpf.rs").write_text("".join(
        [*(f'call!({i}, on_{name}, "{name}");\n' for i, name in enumerate(calls)),
         *(f'sub_call!({i}, sub_{name}, "{name}");\n' for i, name in sub_calls)]))
    # The tables use Rust's names for architectures.
    ebpf.bpf("c-tests/matrix/arguments.bpf.rs", out / "rust.bpf.o", cell.architecture.bpf, cell.kernel.table,
             env={"CALLS": str(out / "calls.bpf.rs")})
    (out / "calls.bpf.h").write_text("".join(
        [*(f"CALL({i}, {name})\n" for i, name in enumerate(calls)), "#ifndef LIBBPF\n",
         *(f"SUB_CALL({i}, {name})\n" for i, name in sub_calls), "#endif\n"]))
    newest = packages.unpack("sid", "amd64", "libbpf-dev") / "usr/include"
    theirs = ["-DLIBBPF", "-isystem", newest, *["-DWRAPPED"] * ("@" in cell.process)]
    for name, options in (("ours", []), ("theirs", theirs)):
        build.bpf("c-tests/matrix/arguments.bpf.c", out / f"{name}.bpf.o", "-Wall", "-Wextra", "-Werror",
                  "-target", cell.architecture.bpf, f"-D__TARGET_ARCH_{cell.kernel.bpf_target}",
                  *["-D__i386__"] * (cell.kernel.name == "i386"), "-Iinclude", f"-I{out}", *options)


# --- Running ----------------------------------------------------------------------

class CellJob(Job):
    """Runs programs in a cell's guest. The output of each program follows the program's name."""

    def __init__(self, cell, name, seconds, **commands):
        script = "\n".join(f"echo '={part}'; {command}; echo \"=status $?\"" for part, command in commands.items())
        super().__init__(f"{cell.process}-{name}", cell.suite, script, arch=cell.kernel.name, apart=cell.process,
                         seconds=seconds)
        object.__setattr__(self, "cell", cell)

    def put(self, machine, folder, *names):
        for name in names:
            machine.put(folder / name, f"/m/{name}")
        machine.folders.append(folder)
        machine.roots.append(runtime(self.cell.architecture))

    def __str__(self):
        return f"{self.cell}-{self.name}"


def parts(outcome, *unjudged):
    """Maps programs to their output. Raises Failure if a program that is not in `unjudged` failed."""
    found = re.findall(r"^=(\S+)\n(.*?)^=status (\d+)\n", outcome.output.replace("\r", ""), re.M | re.S)
    if not found or any(int(status) and name not in unjudged for name, _, status in found):
        raise Failure(outcome.output + outcome.trouble)
    return {name: text for name, text, _ in found}


ATTACH = "/m/attach /m/attach.bpf.o"


class Calls(CellJob):
    """Tests every call with libbpf alone and with the library preloaded."""

    def __init__(self, cell):
        preload = "uname -r; KSYSCALL_QUIET=1 LD_PRELOAD=/m/libksyscall.so.1"
        super().__init__(cell, "calls", 200, libbpf="uname -r; /m/static /m/coverage.bpf.o",
                         static=f"{preload} /m/static /m/coverage.bpf.o",
                         libksyscall=f"{preload} /m/coverage /m/coverage.bpf.o", attach=ATTACH)

    def prepare(self, machine, jobs):
        self.put(machine, programs(self.cell), "coverage", "static", "coverage.bpf.o", "attach", "attach.bpf.o",
                 "libksyscall.so.1")


class Attach(CellJob):
    """Runs only the tests for differences between architectures."""

    is_short = True

    def __init__(self, cell):
        super().__init__(cell, "attach", 60, attach=ATTACH)

    def prepare(self, machine, jobs):
        self.put(machine, attach_program(self.cell), "attach", "attach.bpf.o", "libksyscall.so.1")


def save(job, texts):
    """Saves the output of a cell's programs."""
    for name, text in texts.items():
        (OUT / job.cell.process / f"{job.cell.suite}.{name}").write_text(text)


# --- Results of a run --------------------------------------------------------------

class Run:
    """One library's results. `missed` maps each failed call to a description of the failure. `absent` lists the
    unimplemented calls for which attaching fails with ENOENT. `idle` lists unimplemented calls to which both
    libraries nevertheless attach. `fired` counts the calls whose program ran, and `all` counts the calls that the
    kernel implements. `other` is the output for the other library; it also shows which calls the kernel
    implements."""

    def __init__(self, text, other):
        self.kernel = text.partition("\n")[0]
        rows, their_rows = self.rows(text), self.rows(other)
        # Calls that the kernel was built without may share one function. libbpf attaches to that function, so each of
        # these calls also runs the programs for all the others. The last column lists those other calls.
        live = {row[0] for row in rows + their_rows
                if row[5] != "ENOSYS" or (int(row[4]) > 0 and row[6] == "-")}
        number = {row[0]: row[1] for row in rows}
        self.missed, self.absent, self.fired, self.all = {}, [], 0, 0
        vain, others = {}, {}
        for call, _, attached, function, hits, _, ran in rows:
            if call not in live:
                if attached == "ENOENT":
                    self.absent.append(call)
                elif attached != "ok":
                    self.missed[call] = f"not implemented, but the error is {attached}"
                elif int(hits):
                    self.missed[call] = f"not implemented, yet attached to {function}, which other calls run"
                else:
                    vain[call] = function
                continue
            self.all += 1
            if hits == "1":
                self.fired += 1
            else:
                refused = f"attach: {attached}" if attached != "ok" else f"attached to {function}, never ran"
                self.missed[call] = f"ran {hits} times" if int(hits) else refused
            if ran != "-":
                others[call] = ran.split()
        for call, names in others.items():
            for name in names:
                # The library may treat the name of a removed call as the name of its replacement (sigaction as
                # rt_sigaction).
                if not vain.pop(name, None) and number.get(name) != number[call]:
                    self.missed[call] = self.missed.get(call, "") + f"the program of {name} ran for it; "
        # Like libbpf, this library attaches to functions that no call reaches.
        self.idle = sorted(vain.keys() & {row[0] for row in their_rows if row[2] == "ok"})
        for call, function in vain.items() - {(call, vain[call]) for call in self.idle}:
            self.missed[call] = f"not implemented, yet attached to {function}, which never ran"

    @staticmethod
    def rows(text):
        return [row for line in text.splitlines() if len(row := line.split("\t")) == 7]


# Calls that no kprobe can reach or distinguish. Each entry consists of a pattern for ARCH:KERNEL:CALL:HOW and an
# explanation of the miss. HOW is the description of the failure in `Run.missed`.
UNREACHABLE = [
    # In Linux 5.10, kernel/events/Makefile compiles core.c without -pg, and the kernel refuses kprobe
    # events on functions without an ftrace site (within_notrace_func()).
    (r"(i386@)?amd64:5\.10\..*:perf_event_open:attach:.*",
     "the kernel refuses the probe (EINVAL): kernel/events/core.c is compiled without ftrace sites"),
    (r"i386@amd64:.*:fcntl:.*of fcntl64 ran.*|i386@amd64:.*:fcntl64:.*of fcntl ran.*",
     "one function, compat_sys_fcntl64, serves fcntl and fcntl64 (arch/x86/entry/syscalls/syscall_32.tbl)"),
]


class Shown:
    """The results of a cell's runs: lines for the report, and the test points that passed or failed."""

    def __init__(self, cell, folder=None):
        texts = {suffix: ((folder or OUT / cell.process) / f"{cell.suite}.{suffix}").read_text()
                 for suffix in (*RUNS, "attach")}
        theirs, ours = (Run(texts[side], texts[other]) for side, other in (SIDES, SIDES[::-1]))
        static = Run(texts["static"], texts["libksyscall"])
        self.results, self.notes = Results(), []
        where = f"- {cell.process}, {ours.kernel}:"
        answered = re.search(r"^# ([^,]*)", texts["libksyscall"], re.M)
        right = answered and answered[1].startswith("libksyscall.so") and ours.fired
        self.results.add("passed" if right else "failed", "each call", f"{ours.fired} of {ours.all} fired")
        lost = sorted(set(static.missed) - set(theirs.missed))
        self.results.add("failed" if lost else "passed", "each call of a static libbpf that fired still fires",
                         " ".join(lost))
        for call, how in sorted(ours.missed.items()):
            reason = next((reason for pattern, reason in UNREACHABLE
                           if re.fullmatch(pattern, f"{cell.process}:{ours.kernel}:{call}:{how}")), None)
            self.notes.append(f"{where} `{call}`: {reason or how}")
            if not reason:
                self.results.add("failed", call, how)
        tests = results.tap(texts["attach"], 0)
        self.results.points += tests.points
        # Do not count the first test, which checks only that the attach function belongs to this library.
        tests.points = [point for point in tests.points if point.name != "this_library_answers"]
        for point in tests.points:
            if point.outcome != "passed":
                how = "skip" if point.outcome == "skipped" else "not ok"
                self.notes.append(f"{where} attach test `{point.name}`: {point.reason} ({how})")
        absent = [f" `{call}`" for call in sorted(ours.absent)] + [f" (`{call}`)" for call in ours.idle]
        self.absent = where + ("".join(absent) or " none")
        self.row = [cell.process, ours.kernel, *(f"{run.fired} of {run.all}" for run in (theirs, static, ours)),
                    f"{len(tests.of('passed'))} of {len(tests.points)}"]


HEAD = ["architecture", "kernel", "libbpf alone", "static libbpf, preloaded", "shared libbpf, preloaded",
        "attach tests"]


def report(shown, not_run):
    """Returns the results for the page. `not_run` contains the reason for each cell that did not run."""
    rows = [each.row for each in shown]
    notes = [note for each in shown for note in each.notes]
    for cell, why in not_run.items():
        rows.append([cell.process, f"of {cell.suite}", *["not run"] * 4])
        notes.append(f"- {cell.process}, the kernel of {cell.suite}: not run: {why}")
    return {"coverage": pages.table(HEAD, rows), "exceptions": "\n".join(notes or ["- none"]) + "\n",
            "absent": "".join(f"{each.absent}\n" for each in shown)}


def reported(config, page, more=lambda cells: {}):
    """Yields a dict that the tests fill with each cell's results, or with the reason why the cell did not run.
    Then writes these results into the page that the module `page` defines through PAGE, Shown, report() and SIDES.
    `more` returns further results for the page."""
    shown = {}
    yield shown
    keep = config.getoption("keep")
    for cell in CELLS if keep else ():
        if cell not in shown and (OUT / cell.process / f"{cell.suite}.{page.SIDES[-1]}").exists():
            shown[cell] = page.Shown(cell)
    ran = [shown[cell] for cell in CELLS if isinstance(shown.get(cell), page.Shown)]
    results = page.report(ran, {cell: why for cell, why in shown.items() if isinstance(why, str)}) | more(CELLS)
    if config.getoption("matrix"):
        print("", *results.values(), sep="\n")
    is_good = not any(each.results.of("failed") for each in ran)
    if is_good and (len(ran) == len(CELLS) or (ran and keep)):
        pages.write(page.PAGE, results)


def checked(job, guest, shown, page, *unjudged):
    """Waits for a cell's job and saves the output of its programs. Adds the results to the dict that reported() yields,
    or the reason why there are none, and returns the results."""
    shown[job.cell] = "it failed"
    try:
        outcome = guest(job)
    except packages.Unavailable as error:
        shown[job.cell] = str(error)
        raise
    save(job, parts(outcome, *unjudged))
    shown[job.cell] = page.Shown(job.cell)
    return shown[job.cell].results
