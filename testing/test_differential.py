"""Compares libbpf's own function with the preloaded library on a real kernel: a test program asks
both the same questions. A build of that program that contains libbpf also asks them, without and with the library
preloaded."""

import base64
import gzip

import pytest

from testing import differential, pages
from testing.results import Results
from testing.targets import COMPARED, COMPARED_INSIDE, COMPARED_ON, SUITES
from testing.test_c import LIBRARY, Built


def mode(suite):
    return "preloaded" if SUITES[suite].has_ksyscall else "linked"


# Compress the answers: they are megabytes, and the guest's console is slow. Remove the entries that
# libbpf leaves in tracefs, which would disturb later jobs.
ASK = """KSYSCALL_QUIET=1 LD_PRELOAD={} /t/{}/{} >/tmp/answers 2>/tmp/errors
echo "exit status $?" | cat - /tmp/errors
echo answers
gzip -c /tmp/answers | base64
echo end
echo >/sys/kernel/tracing/kprobe_events
"""


def questions(suite, mode, name="answers"):
    program, libraries = f"{mode}/answers", [""] if mode == "linked" else ["", LIBRARY]
    return Built(f"{suite}-{name}", COMPARED_ON, "".join(ASK.format(library, suite, program) for library in libraries),
                 suite=suite, program=program, seconds=60, is_long=suite != COMPARED_ON)


def answers_of(outcome):
    """Returns what each program in a job printed."""
    said = []
    for part in outcome.output.split("\nend\n")[:-1]:
        errors, _, answers = part.partition("\nanswers\n")
        assert errors == "exit status 0"
        said.append(gzip.decompress(base64.b64decode(answers)).decode(errors="backslashreplace"))
    return said


# The differences that are caused only by the name of the probed function.
CORRECTED_NAMES = {"other-function", "spelling", "after-failure"}


@pytest.fixture(scope="module")
def table():
    """Returns the known differences, and the set of suites that have been compared so far."""
    return differential.differences(), set()


@pytest.mark.parametrize("job", [questions(suite, mode(suite)) for suite in COMPARED], ids=str)
def test_answers(job, guest, judge, table):
    said = answers_of(guest(job))
    rows, compared = table
    if len(said) == 1:
        judge(differential.judge(said[0], differential.expectations()))
    else:
        compared.add(job.suite)
        judge(differential.compare(*said, rows))


@pytest.mark.parametrize("job", [questions(suite, "inside", "static-answers") for suite in COMPARED_INSIDE], ids=str)
def test_the_answers_of_a_static_libbpf_differ_only_where_a_name_is_corrected(job, guest, judge):
    rows = [row for row in differential.differences() if row.id in CORRECTED_NAMES]
    results = differential.compare(*answers_of(guest(job)), rows, ("answers", "answers"))
    for row in rows:
        results.add("passed" if row.count else "failed", f"{row.id}: {row.count} cases differ so")
    judge(results)


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


def test_the_page_has_the_table_of_the_data():
    page = differential.PAGE.read_text()
    expected = pages.with_results(page, differential.report(differential.differences()))
    assert page == expected, "python3 -m testing.differential"
