"""The C tests on real kernels: with each libbpf, linked to the library and with the library
preloaded. `-k 'attach and trixie'` runs some of them."""

import os
from dataclasses import dataclass

from testing import build, results
from testing.guests import Job
from testing.targets import KERNELS, LIBBPFS

LIBRARY = "/t/libksyscall.so.1"
# What is run, too, with a library whose C files clang has compiled.
BY_CLANG = "print", "sections", "warnings"
CLANGS = "/t/clang/libksyscall.so.1"


@dataclass(frozen=True, eq=False)
class Program(Job):
    suite: str = ""
    program: str = ""

    def prepare(self, machine, jobs):
        wanted = {job.program for job in jobs if isinstance(job, Program) and job.suite == self.suite}
        tree = build.c_tests(self.suite, tuple(sorted(wanted)))
        for path in (self.program, "lib"):
            machine.put(tree / self.suite / path, f"/t/{self.suite}/{path}")
        machine.put(build.library() / "libksyscall.so.1", LIBRARY)
        if CLANGS in self.command:
            machine.put(build.library_by_clang() / "libksyscall.so.1", CLANGS)


def programs(is_alone):
    """All programs; or those that are preloaded into, without that: what libbpf's own
    function makes of the tests."""
    for kernel in KERNELS:
        for suite in LIBBPFS:
            # With the last alone: some programs take minutes on each kernel.
            for program in build.c_programs(suite, suite == LIBBPFS[-1]):
                is_preloaded = program.startswith("preloaded/")
                how = "KSYSCALL_TEST_ANY_LIBRARY=1 " if is_alone else f"LD_PRELOAD={LIBRARY} " * is_preloaded
                # libbpf has none of the environment variables.
                if not is_alone or (is_preloaded and program != "preloaded/environment"):
                    yield Program(f"{suite}-{program.replace('/', '-')}", kernel, f"{how}exec /t/{suite}/{program}",
                                  limit=900, suite=suite, program=program)
    if is_alone or os.environ.get("LIBRARY"):
        return
    for program in BY_CLANG:
        command = f"LD_PRELOAD={CLANGS} exec /t/{suite}/preloaded/{program}"
        yield Program(f"{suite}-clang-{program}", kernel, command, suite=suite, program=f"preloaded/{program}")


def pytest_generate_tests(metafunc):
    metafunc.parametrize("job", programs(metafunc.config.getoption("libbpf_alone")), ids=str)


def test_program(job, guest, judge):
    outcome = guest(job)
    judge(results.tap(outcome.output, outcome.status))
