"""pytest's configuration: tests that require a kernel are jobs in guests, which run while the other tests run."""

import signal

import pytest

from testing import vm
from testing.build import BuildError
from testing.guests import Guests, Job
from testing.initramfs import Missing
from testing.packages import Unavailable
from testing.targets import CELLS, KERNELS, MATRIX

# Exceptions whose messages explain the failure, so pytest reports them without a traceback.
PLAIN = BuildError, vm.Failure, Missing, Unavailable
# `make test` prints this.
LEFT_OUT = f"""\
Only `make test-all` runs the rest: the tests on kernels other than {KERNELS[-1]}'s and with other releases of libbpf,
the comparison with those releases, the long tests, the tests that need a separate boot, ThreadSanitizer, the check of
the tables against the kernel's sources, and the matrix of every call (MATRIX=all: on every architecture)."""


def pytest_addoption(parser):
    parser.addoption("--short", action="store_true",
                     help="what needs no kernel, each test of the newest stable kernel once, a foreign architecture")
    parser.addoption("--libbpf-alone", action="store_true",
                     help="without preloading: what libbpf's own function makes of the C tests")
    parser.addoption("--matrix", metavar="'ARCH[:SUITE] ...'", help="the cells of the matrix to run, or `all`")
    parser.addoption("--x32", action="store_true", help="build a kernel with x32 for test_x32.py")
    parser.addoption("--keep", action="store_true",
                     help="make docs/coverage.md of these cells and of those that earlier runs left")


def pytest_configure(config):
    # Report unknown cell names before any work starts.
    chosen_cells(config)
    # Respond to fatal signals in the same way as to Ctrl-C.
    vm.end_by_signals(signal.default_int_handler)


def chosen_cells(config):
    """Returns the cells that --matrix names. An architecture's name alone selects all of its kernels."""
    if (named := config.getoption("matrix")) is None:
        return MATRIX
    words = named.split()
    if unknown := [w for w in words if w != "all" and not any(w in (str(c), c.process) for c in CELLS)]:
        raise pytest.UsageError(f"no such kernel: {' '.join(unknown)}; there are: {' '.join(map(str, CELLS))}")
    return [cell for cell in CELLS if {"all", str(cell), cell.process} & set(words)]


def job_of(item):
    """Returns the job whose outcome a test checks, or None."""
    job = item.callspec.params.get("job") if hasattr(item, "callspec") else None
    return job if isinstance(job, Job) else None


def is_short(item):
    return job.is_short if (job := job_of(item)) else not item.get_closest_marker("long")


def pytest_collection_modifyitems(config, items):
    """Moves the tests that need no kernel to the front, so that they run at the same time as the guests."""
    # Drop the placeholder items that pytest creates for tests without jobs.
    items[:] = [item for item in items if job_of(item) or "job" not in getattr(item, "fixturenames", ())]
    if config.getoption("short"):
        config.hook.pytest_deselected(items=[item for item in items if not is_short(item)])
        items[:] = filter(is_short, items)
    items.sort(key=lambda item: bool(job_of(item) or item.get_closest_marker("last")))


def pytest_runtestloop(session):
    if session.config.option.collectonly or session.testsfailed:
        return
    tests = {}
    for item in session.items:
        if job := job_of(item):
            tests.setdefault(job, []).append(item.callspec.params.get("test"))
    session.config.guests = Guests(tests)
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        session.config.guests.start()


def pytest_sessionfinish(session):
    if guests := getattr(session.config, "guests", None):
        guests.end()


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("short"):
        terminalreporter.write_line(LEFT_OUT)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.excinfo and isinstance(call.excinfo.value, PLAIN):
        what = "not run: " * isinstance(call.excinfo.value, Unavailable)
        report.longrepr = what + str(call.excinfo.value)


@pytest.fixture
def guest(request):
    """Waits for a job in its shared guest and returns the job's outcome."""
    def guest(job):
        outcome = request.config.guests.outcome(job)
        if outcome.is_bug:
            pytest.fail(f"a kernel bug:\n{outcome.trouble}\nThe job printed:\n{outcome.output}", pytrace=False)
        return outcome
    return guest


@pytest.fixture
def judge():
    """Fails the test if any result is a failure, and skips the test if no result passed."""
    def judge(results):
        if failed := results.of("failed"):
            pytest.fail("\n".join(map(str, failed)), pytrace=False)
        if not results.of("passed"):
            pytest.skip("; ".join(map(str, results.points)) or "no results")
    return judge
