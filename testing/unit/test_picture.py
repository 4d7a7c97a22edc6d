import xml.etree.ElementTree as ElementTree

import pytest

from testing import picture

TABLE = """CALL      CALLS  ERRORS  LONGEST    µs
openat       12       3   1.2 ms     ▁█
a < b         1       0    66 µs    ▃
13 calls, 3 errors in 1.0 s"""


@pytest.fixture
def shapes():
    return list(ElementTree.fromstring(picture.draw(TABLE.splitlines())))


def test_each_word_stands_at_its_place_and_is_as_wide_as_its_letters(shapes):
    texts = {shape.text: shape.attrib for shape in shapes if shape.tag.endswith("text")}
    openat, ms = texts["openat"], texts["1.2 ms"]
    assert float(openat["x"]) == picture.MARGIN
    assert float(ms["x"]) == pytest.approx(picture.MARGIN + 26 * picture.WIDTH, abs=0.1)
    assert float(ms["textLength"]) == pytest.approx(6 * picture.WIDTH, abs=0.1)
    assert "a < b" in texts


def test_errors_are_marked_and_none_are_not(shapes):
    marked = [shape.text for shape in shapes if shape.get("class") == "error"]
    assert marked == ["3"]


def test_bars_are_as_high_as_their_characters(shapes):
    heights = [float(shape.get("height")) for shape in shapes if shape.get("class") == "bar"]
    assert heights == pytest.approx([(picture.HEIGHT - 4) * eighths / 8 for eighths in (1, 8, 3)], abs=0.1)


def test_tables_are_what_was_drawn_over_each_other():
    said = "progress\nksyscall: counting\r\nA 1\r\nB 1\r\n\x1b[2F\x1b[JA 2\r\nB 2\r\n\x1b[2F\x1b[Jend\r\n"
    assert picture.tables(said) == [["A 1", "B 1"], ["A 2", "B 2"], ["end"]]


DEMO = """Linux 6.12, x86_64

           | libbpf alone
syscall    | attached to               fired
stat       | __x64_sys_stat            0 of 3
openat     | __x64_sys_openat          3 of 3"""


def test_the_demos_counts_have_the_color_of_what_they_say():
    shapes = list(ElementTree.fromstring(picture.draw_demo(DEMO.splitlines())))
    kinds = {shape.text: shape.attrib.get("class") for shape in shapes if shape.tag.endswith("text")}
    assert (kinds["0 of 3"], kinds["3 of 3"], kinds["fired"], kinds["stat"]) == ("error", "prompt", "head", None)
