"""Measures how many returns each kind of return probe sees while 1,000 threads sleep in a call, on
three kernels, and writes the tables in docs/returns.md.

    python3 -m testing.returns [SUITE]...

Only the tables for the given SUITEs are replaced.
"""

import sys

from testing import build, pages
from testing.build import BUILD, ROOT
from testing.packages import Unavailable, say
from testing.vm import Failure, Machine, end_by_signals

PAGE = ROOT / "docs/returns.md"
KERNELS = ["bookworm", "trixie", "sid"]
TASKS, ROUNDS, COPIES = 1000, 31, 32
HEAD = ["probe", "returns", "cookie", "result", "lost: link", "lost: profile", "first, kB", "each more, kB", "attach",
        "detach"]
NAMES = {22: "EINVAL", 95: "EOPNOTSUPP"}
# The fields that the program prints for each kind of probe.
FIELDS = ["way", "error", "refused", "returns", "cookies", "results", "missed_link", "missed_profile",
          "first", "each", "attach", "detach"]


def programs():
    say("building the programs that measure")
    out = BUILD / "benches"
    return (build.c("benches/returns.c", out / "returns", "-pthread", "-lbpf"),
            build.bpf("benches/returns.bpf.c", out / "returns.bpf.o"))


def measure(suite):
    """Runs the program on a suite's kernel and returns the program's output."""
    with Machine(suite) as machine:
        for file in programs():
            machine.put(file, f"/{file.name}")
        say(f"measuring on the kernel of {suite}")
        [outcome] = machine.run([f"exec /returns /returns.bpf.o {TASKS} {ROUNDS} {COPIES}"], limit=1800)
    if outcome.status or outcome.trouble:
        raise Failure(f"{suite}: exit status {outcome.status}:\n{outcome.output}{outcome.trouble}")
    return outcome.output


def known(number):
    return "-" if int(number) < 0 else f"{int(number):,}"


def named(number):
    return NAMES.get(int(number), f"errno {number}")


def cells(row, first):
    """Returns the cells of a table row. Attach and detach times are multiples of the times in the row `first`."""
    if int(row["error"]):
        return [row["way"], f"none: {named(row['error'])}", *["-"] * 8]
    seen = [f"program refused: {named(row['refused'])}", "-"]
    if not int(row["refused"]):
        seen = [known(row["cookies"]), known(row["results"])]
    return [row["way"], known(row["returns"]), *seen, known(row["missed_link"]), known(row["missed_profile"]),
            *(f"{max(0, int(row[field])):,}" for field in ("first", "each")),
            *(f"{float(row[field]) / float(first[field]):.1f}" for field in ("attach", "detach"))]


def table(said):
    (kernel, *_), *rows = (line.split("\t") for line in said.splitlines())
    rows = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    return f"Linux {kernel}:\n\n" + pages.table(HEAD, [cells(row, rows[0]) for row in rows])


def main():
    suites = sys.argv[1:] or KERNELS
    if unknown := [suite for suite in suites if suite not in KERNELS]:
        sys.exit(f"returns: no such kernel: {' '.join(unknown)}; there are {' '.join(KERNELS)}")
    end_by_signals()
    try:
        for suite in suites:
            pages.write(PAGE, {suite: table(measure(suite))})
    except (build.BuildError, Failure, Unavailable) as error:
        sys.exit(f"returns: {error}")


if __name__ == "__main__":
    main()
