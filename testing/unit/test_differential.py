import pytest

from testing.differential import Difference, compare, differences, expectations, judge

FILES = "library\t/t/libbpf.so.1\n", "library\t/t/libksyscall.so.1\n"


@pytest.fixture
def table():
    return [Difference({"id": "other", "situation": "Another serves", "why": "So it is", "cases": ["^spelling/stat$"],
                        "libbpf": {"answers": ["link", "runs 0", "ENOENT"], "text": "{}, but it {} times; or {}"},
                        "libksyscall": {"answers": ["link", "runs 1"], "text": "{}, and it {} time"}})]


def told(results):
    return [str(point) for point in results.points]


def test_equal_answers_are_no_difference(table):
    text = "spelling/stat\tlink, runs 1\nlink/fd\topen\n"
    assert told(compare(FILES[0] + text, FILES[1] + text, table))[:2] == [
        "passed spelling: asked 1, 0 differ as the table says", "passed link: asked 1, 0 differ as the table says"]


def test_a_deliberate_difference_is_counted_with_its_answers(table):
    results = compare(FILES[0] + "spelling/stat\tlink, runs 0\n", FILES[1] + "spelling/stat\tlink, runs 1\n", table)
    assert told(results)[0] == "passed spelling: asked 1, 1 differ as the table says"
    assert table[0].unseen() == ["libbpf never answered ENOENT"]


def test_a_refused_attach_is_compared_up_to_the_number_of_runs(table):
    row = table[0]
    assert row.explains("ENOENT", "link, runs 1, cookie 0, destroy 0")
    assert not row.explains("ENOENT", "link, runs 2, cookie 0, destroy 0")
    assert not row.explains("link, runs 0, destroy 0", "link, runs 1, destroy EBADF")


@pytest.mark.parametrize("case, theirs, ours", [
    ("spelling/stat", "EINVAL", "link, runs 1"), ("spelling/other", "link, runs 0", "link, runs 1"),
    ("spelling/stat", "link, runs 0", "link, runs 1, more")])
def test_any_other_difference_is_a_failure(table, case, theirs, ours):
    results = compare(f"{FILES[0]}{case}\t{theirs}\n", f"{FILES[1]}{case}\t{ours}\n", table)
    assert told(results)[1] == f"failed spelling: libbpf {theirs}; libksyscall {ours}: 1 cases: {case}"


def test_both_libraries_must_answer_the_same_questions(table):
    results = compare(FILES[1] + "a/b\tx\n", FILES[1] + "a/b\tx\na/c\tx\n", table)
    assert [point.outcome for point in results.points] == ["passed", "failed", "failed"]


def test_the_first_matching_expectation_applies():
    text = FILES[1] + "link/fd\topen\nlink/pin\tEINVAL\n"
    expected = [["^link/fd$", "open"], ["^link/", "EINVAL"]]
    assert not judge(text, expected).of("failed")
    assert "it answers open" in told(judge(text, expected[1:]))[1]
    assert "failed expected: no case is like ^x$" in told(judge(text, [*expected, ["^x$", ""]]))


def test_a_row_of_the_page(table):
    assert table[0].row() == ["`other`", "Another serves", "`link`, but it `runs 0` times; or `ENOENT`",
                              "`link`, and it `runs 1` time", "So it is"]


def test_the_data_is_complete():
    rows = differences()
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.cases and row.row() for row in rows)
    assert all(len(row) == 2 for row in expectations())
