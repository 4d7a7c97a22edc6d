import pytest

from testing.build import ROOT
from testing.pages import table, with_results


def test_a_result_is_replaced():
    page = "a\n<!-- one -->\nold\n<!-- end of one -->\nb\n<!-- two -->\n<!-- end of two -->\n"
    assert with_results(page, {"two": "2\n", "one": "1\n"}) == (
        "a\n<!-- one -->\n1\n<!-- end of one -->\nb\n<!-- two -->\n2\n<!-- end of two -->\n")


@pytest.mark.parametrize("page", ["", "<!-- one -->\n", "<!-- end of one -->\n<!-- one -->\n"])
def test_a_page_without_a_place_is_an_error(page):
    with pytest.raises(ValueError, match="no place for one"):
        with_results(page, {"one": ""})


def test_a_table():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |\n"


# The crate's tests compile the examples in Rust, and testing/test_rust.py runs the example in C.
@pytest.mark.parametrize("example", ["ebpf/doc/pread.rs", "ebpf/doc/path.rs", "examples/path.bpf.c"])
def test_a_page_contains_an_example(example):
    lines = (ROOT / example).read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("# "))
    assert f"\n{text}```\n" in (ROOT / "docs/arguments.md").read_text()
