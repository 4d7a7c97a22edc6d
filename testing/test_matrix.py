"""Every system call of an architecture, on real kernels: those of --matrix, by default x86-64's.

A run of all is kept as docs/coverage.md; with --keep, so is one of some, together with the
results that earlier runs left in build/matrix.
"""

import pytest

from testing import callers, matrix
from testing.packages import Unavailable


@pytest.fixture(scope="module")
def shown(request):
    yield from matrix.reported(request.config, matrix, callers.section)


@pytest.mark.kernel("matrix")
def test_every_call(cell, shown, judge):
    shown[cell] = "it failed"
    try:
        matrix.run_cell(cell)
    except Unavailable as error:
        shown[cell] = str(error)
        raise
    shown[cell] = matrix.Shown(cell)
    judge(shown[cell].results)


@pytest.mark.kernel("matrix")
def test_every_caller(compat_cell, judge, shown):
    callers.run_cell(compat_cell)
    judge(callers.Shown(compat_cell).results)
