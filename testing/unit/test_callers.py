import pytest

from testing.callers import Shown, report
from testing.matrix import PAGE
from testing.pages import with_results
from testing.targets import CELLS, X32, Cell

CELL = Cell("i386@amd64", "sid")

# The tracer's output: for 32-bit callers only, then for all callers, 32-bit and 64-bit.
COMPAT = """6.1.0
# client /m/coverage-32
fcntl\t55\tok\tcompat_sys_fcntl64@a1\t1\tEBADF\tfcntl64
fcntl64\t221\tok\tcompat_sys_fcntl64@a1\t1\tEBADF\tfcntl
getuid32\t199\tok\t__ia32_sys_getuid@b0\t1\treturned\t-
mseal\t462\tENOENT\t-\t0\tENOSYS\t-
# end
"""
ALL = """# client /m/coverage-32
fcntl\t55\tok\t__x64_sys_fcntl@a0 compat_sys_fcntl64@a1\t1\tEBADF\tfcntl64
fcntl64\t221\tok\tcompat_sys_fcntl64@a1\t1\tEBADF\tfcntl
getuid32\t199\tok\t__ia32_sys_getuid@b0\t1\treturned\tgetuid
# end
# client /m/coverage-64
fcntl\t72\tok\t__x64_sys_fcntl@a0 compat_sys_fcntl64@a1\t1\tEBADF\t-
getuid\t102\tok\t__x64_sys_getuid@b0 __ia32_sys_getuid16@b1\t1\treturned\tgetuid32
old\t7\tok\t__ia32_sys_old@c1\t0\tENOSYS\t-
# end
# end of all
"""


def failures(compat=COMPAT, rest=ALL):
    return [str(point) for point in Shown(CELL, compat + rest).results.of("failed")]


def test_each_call_fires_once_by_its_own_program():
    shown = Shown(CELL, COMPAT + ALL)
    assert shown.row == ["i386@amd64", "6.1.0", "3 of 3", "3 of 3", "2 of 2"]
    assert failures() == shown.notes == []


@pytest.mark.parametrize("compat, rest, how", [
    # fcntl and fcntl64 have separate functions here, so a call to one must not run the program for the other.
    (("fcntl64@a1\t1\tEBADF\tfcntl\n", "fcntl64@a2\t1\tEBADF\tfcntl\n"), ("", ""), "the program of fcntl ran"),
    (("getuid@b0\t1", "getuid@b0\t2"), ("", ""), "ran 2 times"),
    (("getuid@b0\t1", "getuid@b0\t0"), ("", ""), "never ran"),
    (("", ""), ("__ia32_sys_getuid@b0\t1", "__ia32_sys_getuid@b0\t2"), "ran 2 times"),
    (("", ""), ("__ia32_sys_getuid16@b1\t1", "__ia32_sys_getuid16@b1\t0"), "never ran"),
    (("", ""), ("@b1\t1\treturned\tgetuid32", "@b1\t1\treturned\tfcntl"), "the program of fcntl ran"),
    # A tracer for all callers, unlike a tracer for one ABI, also attaches the program to the other ABI's function.
    (("mseal\t462\tENOENT\t-", "mseal\t462\tok\t__ia32_sys_mseal@d0"), ("", ""), "which never ran"),
])
def test_a_missed_call_fails(compat, rest, how):
    texts = COMPAT.replace(*compat) if compat[0] else COMPAT, ALL.replace(*rest) if rest[0] else ALL
    assert how in failures(*texts)[-1]


def test_x32_has_only_results_for_all_callers():
    shown = Shown(X32, "6.12.0\n" + ALL)
    assert shown.row == ["x32@amd64", "6.12.0", "-", "3 of 3", "2 of 2"]
    assert not shown.results.of("failed")
    shown = Shown(X32, "6.12.0\n" + ALL.replace("__ia32_sys_getuid@b0\t1", "__ia32_sys_getuid@b0\t0"))
    assert [str(point) for point in shown.results.of("failed")]


def test_the_report_lists_cells_with_results(monkeypatch, tmp_path):
    monkeypatch.setattr("testing.callers.OUT", tmp_path)
    assert report(CELLS) == {}
    (tmp_path / CELL.process).mkdir()
    (tmp_path / CELL.process / "sid.callers").write_text(COMPAT + ALL)
    results = report(CELLS)
    assert results["callers"].endswith("|---|\n| i386@amd64 | 6.1.0 | 3 of 3 | 3 of 3 | 2 of 2 |\n")
    assert results["callers"] in with_results(PAGE.read_text(), results)
