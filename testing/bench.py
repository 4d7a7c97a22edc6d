"""Measures the cost of attaching and destroying links with this library, libbpf and other implementations, and writes
the results into docs/performance.md.

    python3 -m testing.bench [--report]

The contestants (benches/) take turns in one guest. The guest's clock counts instructions, so other
load on this machine does not matter. build/bench/run.json keeps the samples; --report only writes
the results from that file. `make bench` runs this module.
"""

import argparse
import json
import os
import re
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from testing import bench_plot, bench_report, build, packages, pages
from testing.bench_report import PROBES
from testing.build import BUILD, ROOT
from testing.packages import Unavailable, say
from testing.targets import ARCHITECTURES, SUITES
from testing.vm import Failure, Machine, end_by_signals

OUT = BUILD / "bench"
KERNELS = ["bookworm", "trixie", "sid"]
# Single-stepping is slow, and a library executes the same instructions on every kernel, so one kernel is enough.
STEPPED_ON = "sid"
LIBBPF = "sid"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libksyscall.so.1"
# `raw` makes no system calls beyond the necessary ones, so its time is the lower bound.
CONTESTANTS = ["raw", "ksyscall-c", "ksyscall-rust", "libbpf", "libbpf-rs", "aya"]
# A contestant attaches the probe this many more times after the first attach, and destroys the link each time.
MORE = 5
ROUNDS = 12
STARTS = 40
# Each instruction that a processor executes advances the guest's clock by 2^0 ns. If all processors sleep,
# the clock jumps to the next timer. QEMU supports this only with emulation (TCG).
CLOCK = ["-icount", "shift=0,sleep=off"]
# With this clock, Linux 6.1 does not bring up the guest's second processor in QEMU 7.2.
PROCESSORS = {"bookworm": 1, "trixie": 2, "sid": 2}
# testing/vm.py expedites RCU in its guests. If a kernel parameter occurs twice, its last value applies, so this
# parameter restores the default.
DEFAULT_RCU = "rcupdate.rcu_expedited=0"


# --- Samples -----------------------------------------------------------------------------

def samples(text):
    """Returns a list of dicts, one for each sample in the contestants' output. Each dict's "value" is an int."""
    found = []
    for line in text.splitlines():
        if line.startswith("sample "):
            sample = dict(word.split("=", 1) for word in line.split()[1:])
            found.append({**sample, "value": int(sample["value"])})
    return found


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles of a set of values."""

    low: float
    median: float
    high: float

    def __truediv__(self, number):
        return Spread(self.low / number, self.median / number, self.high / number)


class Run:
    """The results of a run: facts about the machine, and the samples for each kernel."""

    def __init__(self, about, kernels):
        # Maps each kernel's release to its samples.
        self.about, self.kernels = about, kernels

    def values(self, kernel, **wanted):
        return [sample["value"] for sample in self.kernels[kernel]
                if all(sample.get(key) == value for key, value in wanted.items())]

    def spread(self, kernel, **wanted):
        values = self.values(kernel, **wanted)
        if not values:
            raise ValueError(f"no samples on {kernel} of {wanted}")
        # quantiles() requires two values.
        return Spread(*statistics.quantiles(values if len(values) > 1 else values * 2, n=4, method="inclusive"))

    def contestants(self):
        return [name for name in CONTESTANTS
                if any(sample["contestant"] == name for found in self.kernels.values() for sample in found)]

    def save(self, path):
        path.write_text(json.dumps({"about": self.about, "kernels": self.kernels}))

    @classmethod
    def load(cls, path):
        return cls(**json.loads(path.read_text()))


# --- Building and running ------------------------------------------------------------------

def programs():
    """Builds the contestants. Maps paths in the guest to files."""
    library = build.library()
    say("building the contestants")
    OUT.mkdir(parents=True, exist_ok=True)
    build.run("make", "-s", "-C", "benches", f"OUT={OUT}", f"LIBRARY={library}", f"LIBBPF={build.libbpf(LIBBPF)[0]}")
    names = (*CONTESTANTS, "count", "start", "percall", "probe.bpf.o", "percall.bpf.o")
    return {**{f"/bench/{name}": OUT / name for name in names},
            # The guest's own `true` is a static busybox, which loads no library.
            "/bench/true": Path("/bin/true"), LIBRARY: library / "libksyscall.so.1"}


def in_turn(command, contestants=CONTESTANTS):
    """Returns a shell command for the guest that runs `command` for every contestant and probe."""
    return (f"cd /bench || exit; for contestant in {' '.join(contestants)}; do for probe in {' '.join(PROBES)}; do"
            f" {command} || exit; done; done")


def commands(suite):
    """Yields the steps of a measurement. The rounds come last."""
    yield "starting", f"uname -r; exec /bench/start {STARTS} /bench/true {LIBRARY}", True
    percall = f"./percall {bench_report.CALL_ROUNDS} {bench_report.CALLS}"
    yield "timing calls with a probe", f"cd /bench && exec {percall}", True
    yield "counting system calls", in_turn("./count calls ./$contestant $probe"), True
    if suite == STEPPED_ON:
        yield "counting instructions", in_turn("./count steps ./$contestant $probe"), True
        yield "counting those of a start", (
            "cd /bench && ./count start plain ./true &&"
            f" exec ./count start preloaded ./true LD_PRELOAD={LIBRARY}"), True
    # Let the kernel do its one-time work here, so that the first contestant's samples do not include this work.
    yield "warming up", in_turn(f"./$contestant $probe time {MORE}"), False
    for number in range(ROUNDS):
        # Rotate the order, so that each contestant runs first in the same number of rounds.
        turn = number % len(CONTESTANTS)
        yield f"round {number + 1}", in_turn(f"./$contestant $probe time {MORE}",
                                             CONTESTANTS[turn:] + CONTESTANTS[:turn]), True


def contestants_libraries():
    return [build.libbpf(LIBBPF)[0],
            packages.unpack(LIBBPF, "amd64", *SUITES[LIBBPF].libraries, "libgcc-s1", "libstdc++6")]


def measure(suite, files, steps, roots):
    """Returns the kernel's release, which the first step prints, and the samples. Each step is
    a tuple of a description, a command, and a flag that is true if the command's output contains samples. `roots` are
    the folders to search for the programs' libraries; if empty, this system is searched."""
    steps, text = list(steps), ""
    with Machine(suite, accel="tcg", append=DEFAULT_RCU, options=[*CLOCK, "-smp", str(PROCESSORS[suite])]) as machine:
        for place, file in files.items():
            machine.put(file, place)
        machine.roots = roots
        say(f"booting the kernel of {suite}")
        outcomes = machine.run([command for _, command, _ in steps], 600)
        for (what, _, counts), outcome in zip(steps, outcomes, strict=True):
            if outcome.status or outcome.is_bug:
                raise Failure(f"{suite}, {what}: exit status {outcome.status}\n{outcome.output}{outcome.trouble}")
            text += outcome.output if counts else ""
            say(f"{suite}: {what}")
    return text.partition("\n")[0], samples(text)


# --- Static facts ----------------------------------------------------------------------------

def about_machine():
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "cpu": ARCHITECTURES["amd64"].cpu,
            "qemu": re.search(r"version ([0-9.]+)", build.run("qemu-system-x86_64", "--version"))[1],
            "model": model[1] if model else os.uname().machine}


def about_libraries(files):
    """Returns each library's size in bytes and the number of relocations that the loader performs in it."""
    libbpf = next(build.libbpf(LIBBPF)[0].glob("usr/lib/*/libbpf.so.1")).resolve()
    ours = files[LIBRARY].resolve()
    return {file.name: {"bytes": file.stat().st_size, "relocations": relocations(file)} for file in (ours, libbpf)}


def relocations(file):
    # Each relocation's line begins with its address.
    return len(re.findall(r"^[0-9a-f]{8,}", build.run("readelf", "-rW", file), re.M))


def about_versions():
    lock = (ROOT / "benches/rust/Cargo.lock").read_text()
    crates = {name: re.search(rf'name = "{name}"\nversion = "(.*)"', lock)[1] for name in ("aya", "libbpf-rs")}
    libbpf = next(build.libbpf(LIBBPF)[0].glob("usr/lib/*/libbpf.so.1")).resolve().name.removeprefix("libbpf.so.")
    return {**crates, "libbpf": libbpf}


def measured():
    files = programs()
    about = {**about_machine(), "libraries": about_libraries(files), "versions": about_versions()}
    return Run(about, dict(measure(suite, files, commands(suite), contestants_libraries()) for suite in KERNELS))


def write(run):
    pages.write(bench_report.PAGE, bench_report.report(run))
    bench_plot.draw(run, bench_report.PLOT)
    return bench_report.PAGE, bench_report.PLOT


def main(description, name, measured, write):
    """Runs a benchmark. `measured` returns a Run, which is saved in build/bench as the file `name`. `write` writes a
    Run's results into a page and returns the files that it wrote."""
    parser = argparse.ArgumentParser(prog=f"testing.{Path(sys.argv[0]).stem}", description=description.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="write the results of the last run again")
    arguments = parser.parse_args()
    end_by_signals()
    try:
        if not arguments.report:
            measured().save(OUT / name)
        files = write(Run.load(OUT / name))
    except (build.BuildError, Failure, Unavailable) as error:
        sys.exit(f"bench: {error}")
    say(f"wrote {' and '.join(str(file.relative_to(ROOT)) for file in files)}")


if __name__ == "__main__":
    main(__doc__, "run.json", measured, write)
