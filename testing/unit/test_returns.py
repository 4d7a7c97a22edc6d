import pytest

from testing import returns

SAID = """6.12.1\t1000\t11\t32
kprobe PMU\t0\t0\t10\t10\t10\t990\t-1\t8\t1\t2.000\t50.000
tracefs `r1000`\t0\t0\t1000\t1000\t1000\t0\t0\t64\t-1\t3.000\t25.000
tracefs `f`\t0\t22\t4\t-1\t-1\t-1\t-1\t0\t11\t4.000\t50.000
kprobe.session\t22\t0\t0\t0\t0\t0\t0\t0\t0\t0.000\t0.000
"""


def test_the_table_is_made_of_what_was_measured():
    title, _, head, rule, *rows = returns.table(SAID).splitlines()
    assert title == "Linux 6.12.1:"
    assert {line.count("|") for line in [head, rule, *rows]} == {11}
    assert rows == [
        "| kprobe PMU | 10 | 10 | 10 | 990 | - | 8 | 1 | 1.0 | 1.0 |",
        "| tracefs `r1000` | 1,000 | 1,000 | 1,000 | 0 | 0 | 64 | 0 | 1.5 | 0.5 |",
        "| tracefs `f` | 4 | program refused: EINVAL | - | - | - | 0 | 11 | 2.0 | 1.0 |",
        "| kprobe.session | none: EINVAL | - | - | - | - | - | - | - | - |",
    ]


def test_only_the_suites_table_is_replaced():
    page = "a\n<!-- one -->\nold\n<!-- end of one -->\n<!-- two -->\nkept\n<!-- end of two -->\nz\n"
    assert returns.with_table(page, "one", "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError):
        returns.with_table(page, "three", "new\n")


def test_the_page_has_a_place_for_each_kernel():
    for suite in returns.KERNELS:
        returns.with_table(returns.PAGE.read_text(), suite, "")
