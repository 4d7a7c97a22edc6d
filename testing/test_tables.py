"""Checks the syscall tables of all architectures against kernel sources, the C library's calls against
the sources of glibc and musl, and the classes of calls against strace's classes."""

import pytest

from testing import packages
from tools import strace_classes
from tools.c_library.__main__ import problems, sources
from tools.syscall_tables.__main__ import fetch, tables
from tools.syscall_tables.model import annotated, check
from tools.syscall_tables.readers import ARCHES
from tools.syscall_tables.sources import Tree

VERSION = "6.12"
# The sources are large, so downloading and reading them takes a long time.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tree():
    return Tree(fetch(VERSION))


@pytest.mark.parametrize("name", ARCHES)
def test_table(name, tree):
    calls, problems = check(name, tables()[name], tree)
    assert not problems
    assert calls > 200


def test_the_list_matches_the_sources_of_the_c_libraries(tmp_path):
    assert problems(sources("trixie", tmp_path)) == []


def test_spellings_and_versions_are_in_the_tables():
    assert annotated(tables()) == tables(), "python3 -m tools.syscall_tables --annotate"


def test_classes_are_those_of_strace():
    tree = packages.unpack(strace_classes.SUITE, "source", "strace")
    assert strace_classes.text(tree) == strace_classes.FILE.read_text(), "python3 -m tools.strace_classes"
