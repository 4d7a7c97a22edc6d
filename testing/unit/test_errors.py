"""Checks that docs/errors.md contains each of the library's messages."""

import re

import pytest

from testing.build import ROOT

# Messages are split at their placeholders. The page must contain each part with at least this many characters.
WORDS = 12


def messages():
    """Yields the text of each error and warning in the sources, but skips the sources' unit tests."""
    for name in ("error.rs", "calls/name.rs", "capi/mod.rs", "capi/warning.rs", "capi/environment.rs",
                 "kernel/disarmed.rs"):
        source = re.sub(r"^\s*//.*", "", (ROOT / "src" / name).read_text().partition("#[cfg(test)]")[0], flags=re.M)
        for text in re.findall(r'(?<!\w)"((?:[^"\\]|\\.)*)"', source, re.S):
            text = re.sub(r"\\\n\s*", "", text)
            text = text.replace("{symbol}", "FUNCTION").replace("{0}", "FUNCTION").replace("{step}", "STEP")
            # Split at the placeholders, whose values vary. Code between two strings is not message text.
            for part in re.split(r"\{[^}]*\}", text):
                if len(part := part.strip(" :;,'()")) >= WORDS and " " in part and "\n" not in part:
                    yield part


def test_messages_are_found():
    found = set(messages())
    assert "FUNCTION: this kernel does not allow return probes on functions that ftrace can trace" in found
    assert "the program's fd is not open" in found
    assert len(found) > 40


@pytest.mark.parametrize("message", sorted(set(messages())))
def test_the_page_contains_the_row(message):
    page = re.sub(r"\s+", " ", (ROOT / "docs/errors.md").read_text())
    assert message in page.replace("`", "").replace(" STEP ", "STEP")
