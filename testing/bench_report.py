"""Computes the tables in docs/performance.md from the results of a benchmark."""

import statistics

from testing.build import ROOT
from testing.pages import table

PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/performance.svg"

TIMED = ["first_attach", "attach", "destroy"]
OPERATIONS = {"first_attach": "first attach", "attach": "attach", "destroy": "destroy"}
TITLES = {"raw": "system calls alone", "ksyscall-c": "libksyscall, C", "ksyscall-rust": "ksyscall, Rust",
          "libbpf": "libbpf", "libbpf-rs": "libbpf-rs", "aya": "aya"}
PROBES = ["kprobe", "kretprobe"]
# For each kind of probe: the number of timed calls in a round, and the number of rounds. The page names both.
CALLS, CALL_ROUNDS = 1000, 9
# The kinds of probe that benches/percall.c attaches.
KINDS = {"kprobe": "kprobe", "kretprobe": "kretprobe", "max_active": "kretprobe with `max_active`",
         "multi_entry": "kprobe.multi, entry", "multi_return": "kprobe.multi, return",
         "session": "kprobe.session (runs at entry and return)", "fentry": "fentry", "fexit": "fexit",
         "sys_enter": "raw tracepoint sys_enter", "sys_exit": "raw tracepoint sys_exit"}


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


def conditions(run):
    """Returns a table of the conditions of a run."""
    about = run.about
    return table(["", ""], [
        ["date", about["date"]], ["Linux", ", ".join(run.kernels)],
        ["QEMU", f"{about['qemu']}, emulating `{about['cpu']}` on {about['model']}"],
        *([name, version] for name, version in about.get("versions", {}).items())])


def report(run):
    """Returns the results for the page."""
    head = ["Linux", "", *(TITLES[name] for name in run.contestants())]
    return {
        "conditions": conditions(run), "ratios": table(head, times(run)),
        "floors": table(["Linux", "probe", *OPERATIONS.values()], floors(run)),
        "added": table(["", *map(short, run.kernels)], added(run)),
        "counts": table(["", "", *(f"{what}, {OPERATIONS[operation]}" for what in ("system calls", "instructions")
                                   for operation in TIMED),
                         *(f"page faults, {OPERATIONS[operation]}" for operation in TIMED[:2]), "descriptors"],
                        counts(run)),
        "files": table(["", "bytes", "relocations"],
                       ([f"`{name}`", number(file["bytes"]), number(file["relocations"])]
                        for name, file in run.about["libraries"].items())),
        "starts": table(["Linux", "", "alone", "preloaded", "added"], starts(run))}
