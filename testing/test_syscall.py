"""Tests the library's syscall(), which replaces the C library's syscall(): programs see no difference, and the library
inspects probes only if it is preloaded. test_clients.py and src/capi/syscall.rs test what happens to probes."""

import os

import pytest

from testing import build
from testing.build import run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the tests know the registers of x86-64")
SOURCES = "c-tests/syscall/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Builds the program, linked in several ways, and other libraries to preload; returns their folder."""
    folder, library = tmp_path_factory.mktemp("syscall"), build.library()

    def cc(out, *words):
        run("cc", "-std=gnu11", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", *words, "-o", folder / out,
            f"-L{folder}", f"-Wl,-rpath,{folder}:{library}")
    linked = ["-Wl,--no-as-needed", f"-L{library}", "-lksyscall"]
    cc("libearly.so", "-shared", "-fPIC", f"{SOURCES}early.c")
    cc("libneeds.so", "-shared", "-fPIC", f"{SOURCES}early.c", *linked)
    cc("plain", f"{SOURCES}syscall.c")
    cc("linked", f"{SOURCES}syscall.c", *linked)
    cc("needs-early", f"{SOURCES}syscall.c", "-Wl,--no-as-needed", "-learly")
    cc("linked-second", f"{SOURCES}syscall.c", "-Wl,--no-as-needed", "-learly", *linked)
    cc("linked-by-a-library", f"{SOURCES}syscall.c", "-Wl,--no-as-needed", "-lneeds")
    cc("fixed", f"{SOURCES}syscall.c", "-no-pie")
    return folder


def preload(*libraries):
    return {"LD_PRELOAD": " ".join(map(str, libraries))}


@pytest.mark.parametrize("way", ["preloaded", "linked", "before", "behind"])
def test_a_program_sees_no_difference(way, folder):
    ours, early = build.library() / "libksyscall.so.1", folder / "libearly.so"
    program, libraries = {"preloaded": ("plain", [ours]), "linked": ("linked", []),
                          "before": ("plain", [ours, early]), "behind": ("plain", [early, ours])}[way]
    has_early = early in libraries
    expected = run(folder / "plain", env=preload(early) if has_early else {})
    assert ("before the program: 1" in expected) == has_early
    assert run(folder / program, env=preload(*libraries)) == expected


# Each entry describes one way to run a program: the program, the preloaded libraries, and whether this library
# inspects probes.
WAYS = {
    "without": ("plain", [], 0),
    "preloaded": ("plain", ["ours"], 1),
    "preloaded, at a fixed address": ("fixed", ["ours"], 1),
    "preloaded first": ("plain", ["ours", "libearly.so"], 1),
    "preloaded last": ("plain", ["libearly.so", "ours"], 1),
    "preloaded behind a library that the program needs": ("needs-early", ["libearly.so", "ours"], 1),
    "needed by what is preloaded": ("plain", ["libneeds.so"], 0),
    "linked": ("linked", [], 0),
    "linked as the second": ("linked-second", [], 0),
    "linked by a library": ("linked-by-a-library", [], 0),
    "linked and preloaded": ("linked", ["ours"], 0),
    "opened": ("plain", [], 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_probes_are_corrected_only_if_it_was_preloaded(way, folder):
    program, libraries, active = WAYS[way]
    ours = build.library() / "libksyscall.so.1"
    paths = [ours if name == "ours" else folder / name for name in libraries]
    opened = [ours] if way == "opened" else []
    assert run(folder / program, "active", *opened, env=preload(*paths)) == f"{active}\n"
    # Also start the program by running the loader as a command.
    loader = "/lib64/ld-linux-x86-64.so.2"
    assert run(loader, folder / program, "active", *opened, env=preload(*paths)) == f"{active}\n"
