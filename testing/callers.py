"""Tests a 64-bit tracer that attaches to every system call, once for 32-bit callers only and once
for all callers.

A process of the call's architecture makes each call. The results appear in a section of docs/coverage.md.
"""

import functools
import re
import shutil

from testing import build, matrix, packages, pages
from testing.matrix import OUT, Run
from testing.results import Results
from testing.targets import SUITES, X32, Cell


@functools.cache
def tracer(arch):
    """Builds the tracer for a 64-bit architecture."""
    if arch.name == "amd64":
        return build.rust_example("tracer", "--release")
    source, tool = matrix.cross(arch)
    linker = f"CARGO_TARGET_{arch.rust.upper().replace('-', '_')}_LINKER={arch.gnu}-gcc"
    tool("env", linker, "cargo", "build", "--locked", "--quiet", "--release", "--example", "tracer",
         "--target", arch.rust)
    return shutil.copy(source / f"target/{arch.rust}/release/examples/tracer", OUT / arch.name)


def file_of(cell):
    return OUT / cell.process / f"{cell.suite}.callers"


class Callers(matrix.CellJob):
    """Runs the tracer for a cell with 32-bit processes on a 64-bit kernel."""

    def __init__(self, cell):
        super().__init__(cell, "callers", 280,
                         compat="uname -r; /m/tracer /m/64/coverage.bpf.o compat /m/coverage-32",
                         all="/m/tracer /m/64/coverage.bpf.o all /m/coverage-32 /m/coverage-64")

    def prepare(self, machine, jobs):
        kernel = self.cell.kernel
        folders = {"32": matrix.programs(self.cell), "64": matrix.programs(Cell(kernel.name, self.cell.suite))}
        machine.put(tracer(kernel), "/m/tracer")
        # The 32-bit cell's own BPF program reads the registers of 32-bit callers, so use the 64-bit cell's program.
        machine.put(folders["64"] / "coverage.bpf.o", "/m/64/coverage.bpf.o")
        for bits, folder in folders.items():
            machine.put(folder / "coverage", f"/m/coverage-{bits}")
            machine.folders.append(folder)
        for arch in (self.cell.architecture, kernel):
            release = SUITES[arch.release]
            machine.roots.append(packages.unpack(release.name, arch.name, *release.libraries, "libgcc-s1"))


# --- Results of a run --------------------------------------------------------------

def addresses(functions):
    return set(re.findall("@([0-9a-f]+)", functions))


def without_shared(*texts):
    """Returns each client's rows. If one kernel function serves two calls (`fcntl` and `fcntl64` on i386), the
    program for one call may also run for the other. The returned rows omit these extra runs."""
    clients = [Run.rows(text) for text in texts]
    serves = {row[0]: addresses(row[3]) for rows in clients for row in rows}

    def told(row):
        others = [name for name in row[6].split() if not serves[row[0]] & serves.get(name, set())]
        return "\t".join([*row[:6], " ".join(others) or "-"])
    return ["\n".join(map(told, rows)) for rows in clients]


class Shown:
    """The results of a cell's runs: a row, notes, and the test points that passed or failed."""

    def __init__(self, cell, text=None):
        text = file_of(cell).read_text() if text is None else text
        self.kernel = text.partition("\n")[0]
        *compat, all_32, all_64 = re.split("^# client .*\n", text, flags=re.M)[1:]
        self.results, self.notes, counts = Results(), [], ["-"] * (not compat)
        clients = *(each for one in compat for each in without_shared(one)), *without_shared(all_32, all_64)
        for what, rows in zip(("32-bit callers alone", "all, 32-bit", "all, 64-bit")[-len(clients):], clients,
                              strict=True):
            # A tracer for all callers also attaches to calls that exist on only one of the two architectures. Only
            # processes of that architecture can make these calls.
            run = Run(f"{self.kernel}\n{rows}", rows if what.startswith("all") else "")
            counts.append(f"{run.fired} of {run.all}")
            self.results.add("passed" if run.fired else "failed", f"each call, {what}", counts[-1])
            for call, how in sorted(run.missed.items()):
                self.notes.append(f"- {cell.process}, {self.kernel}, {what}: `{call}`: {how}")
                self.results.add("failed", f"{call}, {what}", how)
        self.row = [cell.process, self.kernel, *counts]


HEAD = ["architecture", "kernel", "Compat: 32-bit calls", "All: 32-bit calls", "All: 64-bit calls"]


def report(cells):
    """Returns the results for the page; empty if there are no results for any cell."""
    shown = [Shown(cell) for cell in [*cells, X32] if "@" in cell.process and file_of(cell).exists()]
    notes = [f"{note}\n" for each in shown for note in each.notes]
    text = pages.table(HEAD, [each.row for each in shown]) + "\n" * bool(notes) + "".join(notes)
    return {"callers": text} if shown else {}
