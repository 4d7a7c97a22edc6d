"""Tests that each test in a C program becomes a pytest item."""

import pytest

from testing import test_c
from testing.test_c import WHOLE, Program
from testing.vm import Outcome

TAP = f"TAP version 13\nok 1 - {WHOLE}\nok 2 - good\nnot ok 3 - bad\n# a.c:3: no\nok 4 - other # SKIP no links\n1..4\n"


class Request:
    class node:
        add_report_section = staticmethod(lambda *section: None)


def outcome_of(test, output=TAP, status=1):
    job = Program("attach", "sid", "exec attach", program="linked/attach")
    object.__setattr__(job, "tests", lambda: [WHOLE, "good", "bad", "other", "absent"])
    try:
        test_c.test_program(job, test, lambda job: Outcome(output, status, ""), Request)
    except pytest.skip.Exception as skipped:
        return f"skipped: {skipped}"
    except (pytest.fail.Exception, AssertionError) as failed:
        return f"failed: {failed}"
    return "passed"


def test_each_item_has_its_own_result():
    assert [outcome_of(test) for test in (WHOLE, "good", "bad", "other", "absent")] == [
        "passed", "passed", "failed: a.c:3: no", "skipped: no links", "skipped: sid-attach is built without it"]


@pytest.mark.parametrize("output, status", [
    (TAP.replace("1..4\n", ""), 139), (TAP + "libbpf: oh\n", 1), (TAP.replace("good", "unknown"), 1),
    (TAP.replace("not ok", "ok"), 3), ("", 127)])
def test_a_program_that_ends_abnormally_fails_as_a_whole(output, status):
    assert outcome_of(WHOLE, output, status).startswith("failed: ")
    assert outcome_of("absent", output, status) == "failed: the program did not come to it"


def test_every_test_fails_if_another_library_answers():
    output = f"TAP version 13\nnot ok 1 - {WHOLE}\n# the function is in libbpf\n1..1\n"
    assert outcome_of(WHOLE, output).endswith("the function is in libbpf")
    assert outcome_of("good", output) == "failed: the program did not come to it"


def test_the_tests_of_a_program_are_read_from_its_source():
    program = Program("cost", "sid", "exec cost", program="linked/cost")
    assert {WHOLE, "an_attach_and_a_destroy"} < set(program.tests())
    assert program.command_for(program.tests()) == "exec cost"
    assert program.command_for(["an_attach_and_a_destroy"]) == "exec cost an_attach_and_a_destroy"
