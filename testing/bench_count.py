"""Measures how much time `ksyscall count` and similar tools add to a call, and writes the results into
docs/performance-count.md.

    python3 -m testing.bench_count [--report]

The tools take turns in one guest, whose clock counts instructions (testing/bench.py).
build/bench/count.json keeps the samples; --report only writes the results from that file. `make bench-count`
runs this module.
"""

from testing import bench, build, packages, pages
from testing.bench import OUT, Run
from testing.bench_report import conditions, number, short
from testing.build import ROOT
from testing.pages import table

PAGE = ROOT / "docs/performance-count.md"
KERNELS = ["bookworm", "trixie"]
ROUNDS = 2
# Each tool's command line, and the word that the tool prints when it is ready. The word is None if the tool starts the
# program itself, or if no tool runs.
TOOLS = {
    "nothing": ("", None),
    "ksyscall": ("ksyscall count --all", "counting"),
    "ksyscall-named": ("ksyscall count getppid", "counting"),
    "ksyscall-other": ("ksyscall count openat", "counting"),
    "ksyscall-probes": ("ksyscall count --probes getppid", "counting"),
    "ksyscall-probes-other": ("ksyscall count --probes openat", "counting"),
    "syscount": ("syscount", "Tracing"),
    "syscount-times": ("syscount -L", "Tracing"),
    "perf": ("perf trace -s -o /dev/null", None),
    "strace": ("strace -c -o /dev/null", None),
}


def command(name):
    line, word = TOOLS[name]
    program, _, options = line.partition(" ")
    program = f"/bench/{program}" if program else ""
    calls = f"/bench/calls {name}"
    run = f"{calls} {word} {program} {options}" if word else f"{program} {options} {calls}"
    return f"mkdir -p /dev/pts; mount -t devpts devpts /dev/pts 2>/dev/null; {run}"


def programs():
    OUT.mkdir(parents=True, exist_ok=True)
    build.run("make", "-s", "-C", "benches", f"OUT={OUT}", f"{OUT}/calls")
    syscount = next(packages.unpack("bookworm", "amd64", "libbpf-tools").glob("usr/sbin/syscount*"))
    return {"/bench/calls": OUT / "calls", "/bench/ksyscall": build.command(), "/bench/syscount": syscount,
            "/bench/perf": "/usr/bin/perf", "/bench/strace": "/usr/bin/strace"}


def commands():
    """Yields the measurements."""
    yield "starting", "uname -r", True
    # The kernel is still busy booting during the first run, so the results of that run are discarded.
    yield "warming up", command("ksyscall"), False
    names = list(TOOLS)
    for turn in range(ROUNDS):
        # Rotate the order, so that each round begins with a different tool.
        for name in names[turn * 3:] + names[:turn * 3]:
            yield f"{name}, round {turn + 1}", command(name), True


def report(run):
    """Returns the results for the page."""
    rows = []
    for kernel in run.kernels:
        base = run.spread(kernel, contestant="nothing", operation="call").median
        rows.append([short(kernel), "nothing", number(base), "-"])
        for name, (line, word) in TOOLS.items():
            if line:
                added = run.spread(kernel, contestant=name, operation="call").median - base
                ready = run.spread(kernel, contestant=name, operation="ready").median / 1e6 if word else None
                rows.append([short(kernel), f"`{line}`", f"{added:+,.0f}", "-" if ready is None else number(ready)])
    return {"conditions": conditions(run),
            "costs": table(["Linux", "What counts", "a call, ns", "ready after, ms"], rows)}


def measured():
    files = programs()
    return Run(bench.about_machine(), dict(bench.measure(suite, files, commands(), []) for suite in KERNELS))


def write(run):
    pages.write(PAGE, report(run))
    return [PAGE]


if __name__ == "__main__":
    bench.main(__doc__, "count.json", measured, write)
