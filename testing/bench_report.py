"""Writes docs/performance.md from the results of a benchmark."""

import statistics

from testing.build import ROOT

PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/performance.svg"

TIMED = ["first_attach", "attach", "destroy"]
OPERATIONS = {"first_attach": "first attach", "attach": "attach", "destroy": "destroy"}
TITLES = {"raw": "system calls alone", "ksyscall-c": "libksyscall, C", "ksyscall-rust": "ksyscall, Rust",
          "libbpf": "libbpf", "libbpf-rs": "libbpf-rs", "aya": "aya"}
PROBES = ["kprobe", "kretprobe"]
# For each kind of probe: the number of timed calls in a round, and the number of rounds.
CALLS, CALL_ROUNDS = 1000, 9
# The kinds of probe that benches/percall.c attaches.
KINDS = {"kprobe": "kprobe", "kretprobe": "kretprobe", "max_active": "kretprobe with `max_active`",
         "multi_entry": "kprobe.multi, entry", "multi_return": "kprobe.multi, return",
         "session": "kprobe.session (runs at entry and return)", "fentry": "fentry", "fexit": "fexit",
         "sys_enter": "raw tracepoint sys_enter", "sys_exit": "raw tracepoint sys_exit"}


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


def table(head, rows):
    return row(*head) + "|" + "---|" * len(head) + "\n" + "".join(row(*cells) for cells in rows)


def milliseconds(spread):
    return f"{spread.median / 1e6:.2f} ({spread.low / 1e6:.2f} to {spread.high / 1e6:.2f})"


def times(run):
    """Yields a row for each kernel, operation and probe."""
    for kernel in run.kernels:
        for operation in TIMED:
            for probe in PROBES:
                spreads = {name: run.spread(kernel, contestant=name, probe=probe, operation=operation, unit="ns")
                           for name in run.contestants()}
                yield [short(kernel), f"{OPERATIONS[operation]}, {probe}",
                       *(f"{spread.median / spreads['raw'].median:.2f}" for spread in spreads.values())]


def added(run):
    """Yields a row for each kind of probe: the time that it adds to a call, as a multiple of the time that a kprobe
    adds."""
    def cost(kernel, way):
        plain, probed = (run.values(kernel, contestant=name, operation="call") for name in ("none", way))
        return statistics.median(probed) - statistics.median(plain) if probed else None
    for way, title in KINDS.items():
        costs = [(cost(kernel, way), cost(kernel, "kprobe")) for kernel in run.kernels]
        yield [title, *("-" if value is None else f"{value / kprobe:.2f}" for value, kprobe in costs)]


def floors(run):
    for kernel in run.kernels:
        for probe in PROBES:
            yield [short(kernel), probe, *(milliseconds(run.spread(
                kernel, contestant="raw", probe=probe, operation=operation, unit="ns")) for operation in TIMED)]


def short(kernel):
    """Returns the major and minor version of a kernel."""
    return ".".join(kernel.split(".")[:2])


def number(value):
    return f"{value:,.0f}"


def alike(values):
    """Returns a single number if all kernels have the same value, otherwise one number for each kernel."""
    found = [number(value) for value in values]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def counts(run):
    stepped = [kernel for kernel in run.kernels if run.values(kernel, unit="instructions")]
    for name in run.contestants():
        for probe in PROBES:
            def of(unit, operation, kernels=tuple(run.kernels), name=name, probe=probe):
                return alike([run.spread(kernel, contestant=name, probe=probe, operation=operation, unit=unit).median
                              for kernel in kernels])
            yield [TITLES[name], probe,
                   *(of("syscalls", operation) for operation in TIMED),
                   *(of("instructions", operation, stepped) for operation in TIMED),
                   *(of("faults", operation) for operation in TIMED[:2]),
                   of("fds", "attach")]


def starts(run):
    for kernel in run.kernels:
        plain, preloaded = (run.spread(kernel, contestant=name, operation="start", unit="ns")
                            for name in ("plain", "preloaded"))
        yield [short(kernel), "ms", milliseconds(plain), milliseconds(preloaded),
               f"{(preloaded.median - plain.median) / 1e6:+.2f}"]
    for unit, title in {"syscalls": "system calls", "instructions": "instructions in user space",
                        "faults": "page faults"}.items():
        kernels = [kernel for kernel in run.kernels if run.values(kernel, contestant="plain", unit=unit)]
        plain, preloaded = ([run.spread(kernel, contestant=name, operation="start", unit=unit).median
                             for kernel in kernels] for name in ("plain", "preloaded"))
        yield [" / ".join(map(short, kernels)), title, alike(plain), alike(preloaded),
               alike([b - a for a, b in zip(plain, preloaded, strict=True)])]


# The text of the page. page() fills in the results.
PAGE_TEXT = """\
# Performance

`make bench` generated this page on {date}, with Linux {kernels}.

The machine is emulated: QEMU {qemu} (TCG) on {model}, with two processors `{cpu}`. Linux 6.1 uses only one processor.
The clock advances by one nanosecond with each instruction that a processor executes, and jumps to the next timer when
all processors are idle (`-icount shift=0,sleep=off`). The host's load therefore does not matter, and a second run gives
nearly the same numbers. On a real processor, instructions, cache misses and interrupts take different times: **only the
ratios mean anything.**

Each contestant loads a program, attaches it to `getpgid` and destroys the link:

- in C: the three system calls that every attach requires (the floor: the symbol is known, nothing is looked up),
  libksyscall, and libbpf {libbpf};
- in Rust: the crate ksyscall, libbpf-rs {libbpf_rs}, and aya {aya}, which gets the symbol from the caller.

The contestants take turns on one kernel with default parameters, one process at a time. Each round begins with a
different contestant. A *first attach* is the first attach in a new process ({firsts} samples for each contestant and
probe). The later attaches follow in the same process ({others} samples). Loading the program is not measured.
Destroying a link waits for RCU. libbpf's first attach also waits, because it removes the probe that libbpf created to
detect the kernel's naming convention. The length of the wait depends on when it begins within a timer tick (4 ms), so
these times vary from run to run. The programs are in `benches/`.

## Time

The numbers are medians, as multiples of the floor on the same kernel. In the plot, the lines show the quartiles.

![Time to attach and to destroy, as multiples of the floor](performance.svg)

{ratios}
The floor, in milliseconds of the emulated clock:

{floors}
## Cost of a probe for each call

An empty program is attached to `getpgid`, which itself does little. In each of {call_rounds} rounds, {calls} calls are
timed. The kinds of probe take turns. The numbers are the times that a probe adds to one call (differences of medians),
as multiples of the time that a kprobe adds. A dash means that the kernel does not support this kind of probe. A raw
tracepoint runs for every system call of every process, so it slows down all system calls. The other kinds slow down
only `getpgid`. [returns.md](returns.md) shows which kinds lose returns. On a real processor, a kprobe that is not on an
ftrace site also causes an exception, whose cost this clock does not include.

{added}
## Operations of an attach and a destroy

The columns show counts for a first attach, a later attach, and a destroy. Where the kernels differ, the numbers appear
in the order {order}. System calls are counted with ptrace. Instructions in user space are counted by single-stepping
(`benches/count.c`), on Linux {stepped} only. For a first attach, the count includes lazy binding: the dynamic loader
resolves each function when it is first called. Page faults are medians of the numbers that getrusage(2) reports. The
descriptors are those that stay open while the program is attached.

{counts}
## Library size

{files}
Cost of preloading `libksyscall.so.1` into Debian's `/bin/true`, from start to exit:

{starts}"""


def page(run):
    about, versions, names = run.about, run.about["versions"], run.contestants()
    head = ["Linux", "", *(TITLES[name] for name in names)]
    stepped = [short(kernel) for kernel in run.kernels if run.values(kernel, unit="instructions")]

    def samples(operation):
        return alike([len(run.values(kernel, contestant="raw", probe="kprobe", operation=operation, unit="ns"))
                      for kernel in run.kernels])
    return PAGE_TEXT.format(
        date=about["date"], kernels=", ".join(run.kernels), cpu=about["cpu"], qemu=about["qemu"],
        model=about["model"], libbpf=versions["libbpf"], libbpf_rs=versions["libbpf-rs"], aya=versions["aya"],
        firsts=samples("first_attach"), others=samples("attach"),
        order=" / ".join(map(short, run.kernels)), stepped=" and ".join(stepped),
        ratios=table(head, times(run)), floors=table(["Linux", "probe", *OPERATIONS.values()], floors(run)),
        calls=number(CALLS), call_rounds=CALL_ROUNDS, added=table(["", *map(short, run.kernels)], added(run)),
        counts=table(["", "", *(f"{what}, {OPERATIONS[operation]}" for what in ("system calls", "instructions")
                                for operation in TIMED),
                      *(f"page faults, {OPERATIONS[operation]}" for operation in TIMED[:2]), "descriptors"],
                     counts(run)),
        files=table(["", "bytes", "relocations"],
                    ([f"`{name}`", number(file["bytes"]), number(file["relocations"])]
                     for name, file in about["libraries"].items())),
        starts=table(["Linux", "", "alone", "preloaded", "added"], starts(run)))
