"""Tests every system call of an architecture on the real kernels that --matrix selects (default: the x86-64 kernels).

A run on all kernels updates docs/coverage.md. With --keep, a run on only some of the kernels
updates the page as well: the results for the other kernels come from earlier runs (build/matrix).
"""

import pytest

from testing import callers, matrix
from testing.conftest import chosen_cells
from testing.results import tap
from testing.targets import FOREIGN


def pytest_generate_tests(metafunc):
    cells = chosen_cells(metafunc.config)
    jobs = {
        test_every_call: map(matrix.Calls, cells),
        # The tracer identifies calls by cookies, which Linux 5.10 does not support.
        test_every_caller: (callers.Callers(cell) for cell in cells
                            if "@" in cell.process and cell.suite != "bullseye"),
        test_a_foreign_architecture: [matrix.Attach(FOREIGN)],
    }
    metafunc.parametrize("job", list(jobs[metafunc.function]), ids=str)


def test_a_foreign_architecture(job, guest, judge):
    judge(tap(matrix.parts(guest(job), "attach")["attach"], 0))


@pytest.fixture(scope="module")
def shown(request):
    yield from matrix.reported(request.config, matrix, callers.report)


def test_every_call(job, guest, shown, judge):
    judge(matrix.checked(job, guest, shown, matrix, "attach"))


def test_every_caller(job, guest, judge, shown):
    matrix.save(job, {"callers": "".join(matrix.parts(guest(job)).values())})
    judge(callers.Shown(job.cell).results)
