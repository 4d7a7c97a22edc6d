"""Compares libbpf's own function with the preloaded library on a real kernel: both answer the same
questions."""

import base64
import gzip
from dataclasses import dataclass

import pytest

from testing import build, differential
from testing.guests import Job
from testing.results import Results
from testing.targets import COMPARED, COMPARED_ON, SUITES


@dataclass(frozen=True, eq=False)
class Questions(Job):
    suite: str = ""

    def prepare(self, machine, jobs):
        tree = build.c_tests(self.suite, (mode(self.suite) + "/answers",))
        for path in (mode(self.suite) + "/answers", "lib"):
            machine.put(tree / self.suite / path, f"/t/{self.suite}/{path}")
        machine.put(build.library() / "libksyscall.so.1", "/t/libksyscall.so.1")


def mode(suite):
    return "preloaded" if SUITES[suite].has_ksyscall else "linked"


# Compress the answers: they are megabytes, and the guest's console is slow. Remove the entries that
# libbpf leaves in tracefs, which would disturb later jobs.
ASK = """LD_PRELOAD={} /t/{}/{}/answers >/tmp/answers 2>/tmp/errors
echo "exit status $?" | cat - /tmp/errors
echo answers
gzip -c /tmp/answers | base64
echo end
echo >/sys/kernel/tracing/kprobe_events
"""


def command(suite):
    libraries = ["", "/t/libksyscall.so.1"] if SUITES[suite].has_ksyscall else [""]
    return "".join(ASK.format(library, suite, mode(suite)) for library in libraries)


@pytest.fixture(scope="module")
def table():
    """The rows, and the set of suites compared so far."""
    return differential.differences(), set()


@pytest.mark.parametrize("job", [Questions(f"{suite}-answers", COMPARED_ON, command(suite), suite=suite, seconds=40,
                                           is_long=suite != COMPARED_ON) for suite in COMPARED], ids=str)
def test_answers(job, guest, judge, table):
    said = []
    for part in guest(job).output.split("\nend\n")[:-1]:
        errors, _, answers = part.partition("\nanswers\n")
        assert errors == "exit status 0"
        said.append(gzip.decompress(base64.b64decode(answers)).decode(errors="backslashreplace"))
    rows, compared = table
    if len(said) == 1:
        judge(differential.judge(said[0], differential.expectations()))
    else:
        compared.add(job.suite)
        judge(differential.compare(*said, rows))


@pytest.mark.last
@pytest.mark.long
def test_every_row_of_the_table_is_seen(table, judge):
    rows, compared = table
    if compared != {suite for suite in COMPARED if SUITES[suite].has_ksyscall}:
        pytest.skip("not all libbpfs were asked")
    results = Results()
    for row in rows:
        results.add("failed" if row.unseen() or not row.count else "passed",
                    f"{row.id}: {row.count} cases differ so", "; ".join(row.unseen()))
    judge(results)


def test_the_pages_table_is_that_of_the_data():
    page = differential.PAGE.read_text()
    assert page == differential.with_table(page, differential.differences()), "python3 -m testing.differential"
