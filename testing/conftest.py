"""How pytest runs the tests: those of one kernel in one boot, one after the other, with a
line for each test as it ends, and what all of them came to as the last."""

import signal

import pytest

from testing import vm
from testing.build import BuildError
from testing.guests import Guests
from testing.initramfs import Missing
from testing.packages import Unavailable
from testing.targets import CELLS, MATRIX, SUITES, Cell

# What says by itself why a test failed, and needs no traceback.
PLAIN = BuildError, vm.Failure, Missing, Unavailable


def pytest_addoption(parser):
    parser.addoption("--libbpf-alone", action="store_true",
                     help="without preloading: what libbpf's own function makes of the C tests")
    parser.addoption("--matrix", metavar="'ARCH[:SUITE] ...'", help="the cells of the matrix to run, or `all`")
    parser.addoption("--x32", action="store_true", help="build a kernel with x32 for test_x32.py")
    parser.addoption("--all-names", action="store_true", help="name each result that passed, too")
    parser.addoption("--keep", action="store_true",
                     help="make docs/coverage.md of these cells and of those that earlier runs left")


def pytest_configure(config):
    # A wrong name is said before anything is done.
    chosen_cells(config)
    config.pluginmanager.register(Lines(config))
    # As by Ctrl-C, at which pytest ends.
    vm.end_by_signals(signal.default_int_handler)


def chosen_cells(config):
    """The cells named by --matrix. An architecture alone stands for all of its kernels."""
    if (named := config.getoption("matrix")) is None:
        return MATRIX
    words = named.split()
    if unknown := [w for w in words if w != "all" and not any(w in (str(c), c.process) for c in CELLS)]:
        raise pytest.UsageError(f"no such kernel: {' '.join(unknown)}; there are: {' '.join(map(str, CELLS))}")
    return [cell for cell in CELLS if {"all", str(cell), cell.process} & set(words)]


def pytest_generate_tests(metafunc):
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", chosen_cells(metafunc.config), ids=str)
    if "compat_cell" in metafunc.fixturenames:
        # The tracer tells calls apart by cookies, which Linux 5.10 does not have.
        cells = [cell for cell in chosen_cells(metafunc.config)
                 if "@" in cell.process and cell.suite != "bullseye"]
        metafunc.parametrize("compat_cell", cells, ids=str)


def job_of(item):
    return hasattr(item, "callspec") and item.callspec.params.get("job")


def pytest_collection_modifyitems(items):
    """Tests without a kernel first, then kernel by kernel."""
    kernels = [None, *SUITES, "matrix"]
    # Of the tests of 32-bit callers there are none without such a cell.
    items[:] = [item for item in items if getattr(item, "callspec", None) is None
                or isinstance(item.callspec.params.get("compat_cell", Cell("", "")), Cell)]

    def kernel(item):
        if job := job_of(item):
            return job.kernel
        marker = item.get_closest_marker("kernel")
        return marker and marker.args[0]
    items.sort(key=lambda item: kernels.index(kernel(item)))


def pytest_collection_finish(session):
    session.config.guests = Guests([job for item in session.items if (job := job_of(item))])


def pytest_sessionfinish(session):
    if guests := getattr(session.config, "guests", None):
        guests.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.excinfo and isinstance(call.excinfo.value, PLAIN):
        what = "not run: " * isinstance(call.excinfo.value, Unavailable)
        report.longrepr = what + str(call.excinfo.value)


@pytest.fixture
def guest(request):
    """Runs a job, in the boot that all jobs of its kernel share, and gives what it left."""
    def guest(job):
        outcome = request.config.guests.outcome(job)
        if outcome.is_bug:
            pytest.fail(f"a kernel bug:\n{outcome.trouble}\nThe job printed:\n{outcome.output}", pytrace=False)
        return outcome
    return guest


@pytest.fixture
def judge(request):
    """Counts results one by one; the test passes if none is a failure."""
    def judge(results):
        request.node.user_properties.append(("results", results))
        if failed := results.of("failed"):
            pytest.fail("\n".join(map(str, failed)), pytrace=False)
        if not results.of("passed"):
            pytest.skip("; ".join(map(str, results.points)) or "no results")
    return judge


class Lines:
    """Prints a line for each test, and counts."""

    def __init__(self, config):
        self.config, self.counts = config, {"passed": 0, "failed": 0, "skipped": 0}

    def pytest_report_teststatus(self, report):
        # Nothing of pytest's own.
        is_told = report.when == "call" or not report.passed
        return (report.outcome if is_told else ""), "", ""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.passed:
            return
        results = dict(report.user_properties).get("results")
        counts = {outcome: len(results.of(outcome)) if results else 0 for outcome in self.counts}
        # A test that counts nothing by itself is one.
        if not results or (report.failed and not counts["failed"]):
            counts[report.outcome] += 1
        for outcome, count in counts.items():
            self.counts[outcome] += count
        line = f"{report.outcome} {report.nodeid.removeprefix('testing/')}"
        if results:
            line += ": " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        if report.duration >= 1:
            line += f", {report.duration:.0f} s"
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        reporter.write_line(line)
        for point in results.points if results else ():
            if point.outcome != "passed" or self.config.getoption("all_names"):
                reporter.write_line(f"    {point}")
        if report.skipped and not results:
            reporter.write_line(f"    {report.longrepr[2]}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        if any(self.counts.values()):
            print(", ".join(f"{count} {outcome}" for outcome, count in self.counts.items()), flush=True)
