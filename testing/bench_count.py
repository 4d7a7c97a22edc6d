"""Measures how much time `ksyscall count` and similar tools add to a call, and writes docs/performance-count.md.

    python3 -m testing.bench_count [--report]

The tools take turns in one guest, whose clock counts instructions (testing/bench.py).
build/bench/count.json keeps the samples; --report only writes the page from that file. `make bench-count`
runs this module.
"""

import argparse
import subprocess
import sys
import textwrap

from testing import bench, build, packages
from testing.bench import CLOCK, DEFAULT_RCU, OUT, PROCESSORS, Run, samples
from testing.build import ROOT
from testing.packages import Unavailable, say
from testing.vm import Failure, Machine, end_by_signals

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


def command(name, label=None):
    line, word = TOOLS[name]
    label = label or name
    program, _, options = line.partition(" ")
    program = f"/bench/{program}" if program else ""
    if word:
        return f"/bench/calls {label} {word} {program} {options}"
    return f"{program} {options} /bench/calls {label}"


def programs():
    OUT.mkdir(parents=True, exist_ok=True)
    build.run("make", "-s", "-C", "benches", f"OUT={OUT}", f"{OUT}/calls")
    syscount = next(packages.unpack("bookworm", "amd64", "libbpf-tools").glob("usr/sbin/syscount*"))
    return {"/bench/calls": OUT / "calls", "/bench/ksyscall": build.command(), "/bench/syscount": syscount,
            "/bench/perf": "/usr/bin/perf", "/bench/strace": "/usr/bin/strace"}


def measure(suite, files):
    with Machine(suite, accel="tcg", append=DEFAULT_RCU, options=[*CLOCK, "-smp", str(PROCESSORS[suite])]) as machine:
        for place, file in files.items():
            machine.put(file, place)
        say(f"booting the kernel of {suite}")
        names = list(TOOLS)
        # Rotate the order, so that each round begins with a different tool.
        turns = [names[turn * 3:] + names[:turn * 3] for turn in range(ROUNDS)]
        # The kernel is still busy booting during the first run, so the results of that run are discarded.
        lines = [command("ksyscall", "start"), *(command(name) for turn in turns for name in turn)]
        commands = ["uname -r", *(f"mkdir -p /dev/pts; mount -t devpts devpts /dev/pts 2>/dev/null; {line}"
                                  for line in lines)]
        text = ""
        for line, outcome in zip(commands, machine.run(commands, 600), strict=True):
            if outcome.status or outcome.is_bug:
                raise Failure(f"{suite}, {line}: exit status {outcome.status}\n{outcome.output}{outcome.trouble}")
            text += outcome.output
    return text.partition("\n")[0], samples(text)


def table(run, kernel):
    base = run.spread(kernel, contestant="nothing", operation="call").median
    yield f"## Linux {'.'.join(kernel.split('.')[:2])}"
    yield ""
    yield f"A `getppid` takes {base:,.0f} ns when nothing counts it."
    yield ""
    yield "| Command | added to a call, ns | ready after, ms |"
    yield "|---|---|---|"
    for name, (line, word) in TOOLS.items():
        if line:
            added = run.spread(kernel, contestant=name, operation="call").median - base
            ready = run.spread(kernel, contestant=name, operation="ready").median / 1e6 if word else None
            yield f"| `{line}` | {round(added):,} | {'-' if ready is None else f'{ready:,.0f}'} |"
    yield ""


def page(run):
    about = run.about
    made = (f"`make bench-count` made this page on {about['date']}: Linux {', '.join(run.kernels)}; QEMU"
            f" {about['qemu']} emulating `{about['cpu']}` on {about['model']}. The clock counts instructions, as"
            " [performance.md](performance.md) says: **only the ratios mean anything.**")
    how = (f"A program calls `getppid` 10,000 times, four times over, while each tool runs; the tools take turns,"
           f" {ROUNDS} each. syscount is from Debian 12's libbpf-tools and counts every process (`-L` also measures"
           " times). strace and perf are those of the host and start the program. A tool is ready when it says so."
           " `openat` is a call that the program does not make: these rows show the cost for other calls.")
    return "\n".join(["# Cost of counting", "", textwrap.fill(made, 100), "", textwrap.fill(how, 100), "",
                      *(line for kernel in run.kernels for line in table(run, kernel))]).rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(prog="testing.bench_count", description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="make the page of the last run anew")
    arguments = parser.parse_args()
    end_by_signals()
    try:
        if not arguments.report:
            files = programs()
            kernels = dict(measure(suite, files) for suite in KERNELS)
            Run(bench.about_machine(), kernels).save(OUT / "count.json")
        PAGE.write_text(page(Run.load(OUT / "count.json")))
    except (build.BuildError, Failure, Unavailable, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")
    say(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
