"""The arguments of every system call, as a BPF program reads them with ksyscall.bpf.h, on real
kernels: those of --matrix, by default x86-64's.

A run of all is kept as docs/arguments.md; with --keep, so is one of some, together with the
results that earlier runs left in build/matrix.
"""

import pytest

from testing import arguments, matrix
from testing.conftest import chosen_cells
from testing.packages import Unavailable


def pytest_generate_tests(metafunc):
    metafunc.parametrize("job", list(map(arguments.Arguments, chosen_cells(metafunc.config))), ids=str)


@pytest.fixture(scope="module")
def shown(request):
    yield from matrix.reported(request.config, arguments)


def test_every_argument(job, guest, shown, judge):
    shown[job.cell] = "it failed"
    try:
        outcome = guest(job)
    except Unavailable as error:
        shown[job.cell] = str(error)
        raise
    matrix.save(job, matrix.parts(outcome))
    shown[job.cell] = arguments.Shown(job.cell)
    judge(shown[job.cell].results)
