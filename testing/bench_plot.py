"""Plots one benchmark run as docs/performance.svg."""

import matplotlib
from matplotlib.figure import Figure

from testing.bench_report import OPERATIONS, PROBES, TIMED, TITLES, short

# Make the file reproducible, and store text as text rather than as outlines.
matplotlib.rcParams.update({"svg.hashsalt": "ksyscall", "svg.fonttype": "none", "font.family": "sans-serif",
                            "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
COLOURS = {"kprobe": "#2f6db3", "kretprobe": "#e08a2e"}


def draw(run, path):
    names = run.contestants()
    figure = Figure(figsize=(10, 2.3 * len(run.kernels)), layout="constrained")
    grid = figure.subplots(len(run.kernels), len(TIMED), squeeze=False, sharex="col", sharey=True)
    for axes, kernel in zip(grid, run.kernels, strict=True):
        for axis, operation in zip(axes, TIMED, strict=True):
            bars(axis, run, kernel, operation, names)
        axes[0].set_ylabel(f"Linux {short(kernel)}")
    for axis, operation in zip(grid[0], TIMED, strict=True):
        axis.set_title(OPERATIONS[operation])
    grid[0][0].legend(frameon=False, loc="upper right")
    figure.supxlabel("time, as a multiple of the time for the system calls alone", fontsize=9)
    figure.savefig(path, metadata={"Date": None, "Creator": "make bench"})


def bars(axis, run, kernel, operation, names):
    height = 0.8 / len(PROBES)
    for at, probe in enumerate(PROBES):
        spreads = [run.spread(kernel, contestant=name, probe=probe, operation=operation, unit="ns") for name in names]
        floor = spreads[names.index("raw")].median
        spreads = [spread / floor for spread in spreads]
        axis.barh([i + (at - 0.5) * height for i in range(len(names))], [spread.median for spread in spreads],
                  height, color=COLOURS[probe], label=probe,
                  xerr=[[spread.median - spread.low for spread in spreads],
                        [spread.high - spread.median for spread in spreads]],
                  error_kw={"elinewidth": 0.8, "ecolor": "#333333"})
    axis.axvline(1, color="#888888", linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(names)), [TITLES[name] for name in names])
    if not axis.yaxis_inverted():
        axis.invert_yaxis()
