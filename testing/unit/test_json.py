"""Checks that docs/json.md contains each key of the command's JSON."""

import re

import pytest

from testing.build import ROOT


def keys():
    """Yields each key in the sources, but skips the sources' unit tests."""
    for name in ("count/mod.rs", "count/tally.rs", "resolve.rs", "doctor.rs"):
        source = (ROOT / "cli/src" / name).read_text().partition("#[cfg(test)]")[0]
        # The key may be chosen by an `if`, or stand in an index.
        yield from re.findall(r'"(\w+)"(?=:\s|\] = |(?: \} else \{ "\w+")? \}:)', source)


def test_keys_are_found():
    found = set(keys())
    assert {"ended_by", "below_ns", "pid", "calls", "processes", "skipped_calls", "verifier_log"} <= found
    assert len(found) > 50


@pytest.mark.parametrize("key", sorted(set(keys())))
def test_the_page_contains_the_key(key):
    assert f"`{key}`" in (ROOT / "docs/json.md").read_text()
