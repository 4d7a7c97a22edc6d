"""Runs the C tests on real kernels, with the library linked and preloaded. Each test in each program is a separate
pytest item, so `-k 'attach and trixie'` selects some of the tests."""

import os
import re
from dataclasses import dataclass

import pytest

from testing import build
from testing.guests import Job
from testing.results import tap
from testing.targets import LIBBPFS, NEWEST_STABLE, ONCE

LIBRARY = "/t/libksyscall.so.1"
# Programs that also run with a library whose C files are compiled by clang.
BY_CLANG = "print", "sections", "warnings"
CLANGS = "/t/clang/libksyscall.so.1"
# The item for a whole program. It checks which library's function the program calls, and how the program exits.
WHOLE = "this_library_answers"
# The durations of slow programs, in seconds.
SECONDS = {"arguments": 25, "each": 40, "destroy": 45, "load": 25, "memory": 25}


@dataclass(frozen=True, eq=False)
class Built(Job):
    """Runs a program that is built for the libbpf of a suite. `program` is MODE/PROGRAM."""

    suite: str = ""
    program: str = ""

    def prepare(self, machine, jobs):
        wanted = {job.program for job in jobs if isinstance(job, Built) and job.suite == self.suite}
        tree = build.c_tests(self.suite, tuple(sorted(wanted)))
        for path in (self.program, "lib"):
            machine.put(tree / self.suite / path, f"/t/{self.suite}/{path}")
        machine.put(build.library() / "libksyscall.so.1", LIBRARY)
        if CLANGS in self.command:
            machine.put(build.library_by_clang() / "libksyscall.so.1", CLANGS)


class Program(Built):
    def tests(self):
        """Returns the tests in the program's source. Some builds omit tests."""
        [source] = build.C_TESTS.glob(f"{self.program.rpartition('/')[2]}.c*")
        return [WHOLE, *re.findall(r"^(?:TEST|DESTROYS)\((\w+)", source.read_text(), re.M)]

    def command_for(self, tests):
        return self.command if set(tests) == set(self.tests()) else f"{self.command} {' '.join(tests)}"


def programs(is_alone):
    """Yields all programs. If `is_alone` is set, yields only the programs for preloading, to be run without the
    library, so that they test libbpf's own function."""
    for kernel, suites in LIBBPFS.items():
        for suite in suites:
            for path in build.c_programs(suite, (kernel, suite) in ONCE):
                mode, _, program = path.partition("/")
                is_preloaded = mode == "preloaded"
                # Static linking gives the same results on every kernel.
                if mode in ("wrapped", "static") and kernel != NEWEST_STABLE:
                    continue
                # libbpf does not support this library's environment variables.
                if is_alone and (not is_preloaded or program == "environment"):
                    continue
                how = "KSYSCALL_TEST_ANY_LIBRARY=1 " if is_alone else f"LD_PRELOAD={LIBRARY} " * is_preloaded
                # trixie's libbpf is not tested statically: it requires a newer C library than the oldest system that
                # builds the tests provides.
                is_own = suite == kernel or (suite == "bookworm" and mode in ("wrapped", "static"))
                seconds = SECONDS.get(program, 3)
                yield Program(f"{suite}-{mode}-{program}", kernel, f"{how}exec /t/{suite}/{path}", suite=suite,
                              program=path, seconds=seconds, is_long=not is_own or (is_preloaded and seconds > 20))
    if is_alone or os.environ.get("LIBRARY"):
        return
    for program in BY_CLANG:
        yield Program(f"{suite}-clang-{program}", kernel, f"LD_PRELOAD={CLANGS} exec /t/{suite}/preloaded/{program}",
                      suite=suite, program=f"preloaded/{program}", is_long=True)


def pytest_generate_tests(metafunc):
    metafunc.parametrize("job, test", [
        pytest.param(job, test, id=f"{job}-{test}")
        for job in programs(metafunc.config.getoption("libbpf_alone")) for test in job.tests()])


def test_program(job, test, guest, request):
    outcome = guest(job)
    results = tap(outcome.output, outcome.status)
    request.node.add_report_section("call", "output", outcome.output)
    known = set(job.tests())
    # A result that matches no test in the source counts as a failure of the whole program.
    wrong = [point for point in results.points if point.name not in known]
    wrong += [point for point in results.of("failed") if point.name == WHOLE]
    if test == WHOLE:
        if wrong:
            pytest.fail("\n".join(map(str, wrong)), pytrace=False)
        return
    [point] = [point for point in results.points if point.name == test] or [None]
    if not point and not wrong:
        pytest.skip(f"{job} is built without it")
    if not point or point.outcome == "failed":
        pytest.fail(point.reason if point else "the program did not come to it", pytrace=False)
    if point.outcome == "skipped":
        pytest.skip(point.reason)
