"""Every call of x32, on a kernel that is built for it: with --x32, which `make test-x32` gives."""

import pytest

from testing import callers, results, x32
from testing.targets import X32


def test_every_call_of_x32(request, judge):
    if not request.config.getoption("x32"):
        pytest.skip("a kernel is built for it, which takes ten minutes: make test-x32")
    tested = x32.run_cell()
    of_c = results.tap(tested.output, tested.status)
    of_c.points += callers.Shown(X32).results.points
    judge(of_c)
