"""The arguments of every system call, as a BPF program reads them with ksyscall.bpf.h, on real
kernels: those of --matrix, by default x86-64's.

A run of all is kept as docs/arguments.md; with --keep, so is one of some, together with the
results that earlier runs left in build/matrix.
"""

import pytest

from testing import arguments, matrix
from testing.packages import Unavailable


@pytest.fixture(scope="module")
def shown(request):
    yield from matrix.reported(request.config, arguments)


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
