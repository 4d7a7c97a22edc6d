"""Measures the time to attach one program to many system calls and to detach it, and writes the
results into docs/performance-many.md.

    python3 -m testing.bench_many [--report]

build/bench/many.json keeps the samples; --report only writes the results and their plot from that file.
`make bench-many` runs this module.
"""

from testing import bench, pages
from testing.bench import KERNELS, OUT, Run
from testing.bench_plot import Figure
from testing.bench_report import conditions, short
from testing.build import ROOT
from testing.pages import table

PAGE, PLOT = ROOT / "docs/performance-many.md", ROOT / "docs/performance-many.svg"
NAMES = [1, 10, 100, 300]
# Maps each number of names to its number of repetitions. Long measurements run only once.
ROUNDS = {1: 5, 10: 3, 100: 1, 300: 1}
THREADS = [1, 2, 4, 8, 16]
# For this number of names, every thread count in THREADS is measured. For other numbers of names, only two thread
# counts are measured: one, and a batch's default.
THREADS_WITH = 100
DEFAULT_THREADS = 8
LISTED = "cd /bench && ./batch list > names && uname -r"
WAYS = {"libbpf": "libbpf, one after the other", "libbpf-multi": "libbpf, kprobe.multi",
        "events": "Batch, perf events", "multi": "Batch, kprobe.multi"}


def threads_by_way(way):
    return DEFAULT_THREADS if way == "events" else None


def threads_of(names):
    return THREADS if names == THREADS_WITH else [1, DEFAULT_THREADS]


def commands():
    """Yields the measurements. Each round measures every way of attaching, in rotated order."""
    yield "listing the calls", LISTED, True
    for names in NAMES:
        ways = [f"./libbpf kprobe many {names}", f"./multi {names}", f"./batch multi 1 {names}",
                *(f"./batch events {threads} {names}" for threads in threads_of(names))]
        for number in range(ROUNDS[names]):
            for way in ways[number % len(ways):] + ways[:number % len(ways)]:
                yield f"{way}, round {number + 1}", f"cd /bench && {way} < names", True


# --- The page ------------------------------------------------------------------------------

def milliseconds(run, kernel, way, operation, names, threads=None):
    """Returns the median time, or None if the kernel does not support this way of attaching."""
    if operation == "both":
        parts = [milliseconds(run, kernel, way, part, names, threads) for part in ("attach", "destroy")]
        return None if None in parts else sum(parts)
    wanted = {"contestant": way, "operation": f"{operation}_many", "names": str(names)}
    if threads:
        wanted["threads"] = str(threads)
    return run.spread(kernel, **wanted).median / 1e6 if run.values(kernel, **wanted) else None


def cell(value, libbpf):
    if value is None:
        return "-"
    return f"{value:,.0f} ({libbpf / value:,.1f} times)" if libbpf else f"{value:,.0f}"


def table_of_names(run, operation):
    rows = []
    for kernel in run.kernels:
        for names in NAMES:
            libbpf = milliseconds(run, kernel, "libbpf", operation, names)
            cells = [cell(libbpf, None), *(cell(milliseconds(run, kernel, way, operation, names, threads_by_way(way)),
                                                libbpf) for way in list(WAYS)[1:])]
            rows.append([short(kernel), str(names), *cells])
    return table(["Linux", "names", *WAYS.values()], rows)


def table_of_threads(run):
    rows = []
    for kernel in run.kernels:
        one = milliseconds(run, kernel, "events", "destroy", THREADS_WITH, 1)
        rows.append([short(kernel), *(cell(milliseconds(run, kernel, "events", "destroy", THREADS_WITH, threads), one)
                                      for threads in THREADS)])
    return table(["Linux", *map(str, THREADS)], rows)


def report(run):
    """Returns the results for the page."""
    return {"conditions": conditions(run), **{
        name: table_of_names(run, operation)
        for name, operation in (("attaching", "attach"), ("detaching", "destroy"), ("both", "both"))},
        "threads": table_of_threads(run)}


def draw(run, path):
    figure = Figure(figsize=(10, 2.6 * len(run.kernels)), layout="constrained")
    grid = figure.subplots(len(run.kernels), 2, squeeze=False, sharex=True, sharey=True)
    for axes, kernel in zip(grid, run.kernels, strict=True):
        for axis, operation in zip(axes, ["attach", "destroy"], strict=True):
            for way, title in WAYS.items():
                times = [milliseconds(run, kernel, way, operation, names, threads_by_way(way)) for names in NAMES]
                if None not in times:
                    axis.plot(NAMES, times, marker="o", markersize=3, label=title)
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_title(f"{operation}, Linux {short(kernel)}")
        axes[0].set_ylabel("milliseconds")
    for axis in grid[-1]:
        axis.set_xlabel("system calls")
    grid[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": "make bench-many"})


def measured():
    files = {**bench.programs(), **{f"/bench/{name}": OUT / name for name in ("batch", "multi", "multi.bpf.o")}}
    about = {**bench.about_machine(), "versions": {"libbpf": bench.about_versions()["libbpf"]}}
    return Run(about, dict(bench.measure(suite, files, commands(), bench.contestants_libraries())
                           for suite in KERNELS))


def write(run):
    pages.write(PAGE, report(run))
    draw(run, PLOT)
    return PAGE, PLOT


if __name__ == "__main__":
    bench.main(__doc__, "many.json", measured, write)
