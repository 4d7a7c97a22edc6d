"""Tests how BPF programs read the arguments of every system call with ksyscall.bpf.h, on the real kernels that --matrix
selects (default: the x86-64 kernels).

A run on all kernels updates docs/arguments.md. With --keep, a run on only some of the kernels
updates the page as well: the results for the other kernels come from earlier runs (build/matrix).
"""

import pytest

from testing import arguments, matrix
from testing.conftest import chosen_cells


def pytest_generate_tests(metafunc):
    metafunc.parametrize("job", list(map(arguments.Arguments, chosen_cells(metafunc.config))), ids=str)


@pytest.fixture(scope="module")
def shown(request):
    yield from matrix.reported(request.config, arguments)


def test_every_argument(job, guest, shown, judge):
    judge(matrix.checked(job, guest, shown, arguments))
