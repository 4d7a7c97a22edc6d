"""The arguments of every system call, as a BPF program reads them with ksyscall.bpf.h, on real
kernels: those of --matrix, by default x86-64's.

A run of all is kept as docs/arguments.md; with --keep, so is one of some, together with the
results that earlier runs left in build/matrix.
"""

import pytest

from testing import arguments, matrix
from testing.packages import Unavailable
from testing.targets import CELLS


@pytest.fixture(scope="module")
def shown(request):
    """{cell: what it has shown, or why it was not run}, reported when all have run."""
    shown = {}
    yield shown
    keep = request.config.getoption("keep")
    for cell in CELLS:
        if keep and cell not in shown and (matrix.OUT / cell.process / f"{cell.suite}.theirs").exists():
            shown[cell] = arguments.Shown(cell)
    ran = [shown[cell] for cell in CELLS if isinstance(shown.get(cell), arguments.Shown)]
    text = arguments.report(ran, {cell: why for cell, why in shown.items() if isinstance(why, str)})
    if request.config.getoption("matrix"):
        print(f"\n{text}")
    is_good = not any(each.results.of("failed") for each in ran)
    if is_good and (len(ran) == len(CELLS) or (ran and keep)):
        arguments.PAGE.write_text(text)


@pytest.mark.kernel("matrix")
def test_every_argument(cell, shown, judge):
    shown[cell] = "it failed"
    try:
        arguments.run_cell(cell)
    except Unavailable as error:
        shown[cell] = str(error)
        raise
    shown[cell] = arguments.Shown(cell)
    judge(shown[cell].results)
