"""docs/errors.md has each message that the library says."""

import re

import pytest

from testing.build import ROOT

# Parts of longer messages, which the page has with what comes between.
WORDS = 12


def messages():
    """What the sources say in bytes or text, before any of their tests."""
    for name in ("refusal/message.rs", "capi/warning.rs", "kernel/disarmed.rs"):
        source = re.sub(r"^\s*//.*", "", (ROOT / "src" / name).read_text().partition("#[cfg(test)]")[0], flags=re.M)
        for text in re.findall(r'(?<!\w)b?"((?:[^"\\]|\\.)*)"', source, re.S):
            text = re.sub(r"\\\n\s*", "", text).replace("$", "FUNCTION").replace("!", "REASON").strip(" :;,")
            if len(text) >= WORDS:
                yield text


def test_messages_are_found():
    found = set(messages())
    assert "perf_event_open of a kprobe on FUNCTION: REASON" in found
    assert "(the program's fd is not open)" in found
    assert len(found) > 40


@pytest.mark.parametrize("message", sorted(set(messages())))
def test_the_page_has_it(message):
    page = re.sub(r"\s+", " ", (ROOT / "docs/errors.md").read_text())
    assert message in page
