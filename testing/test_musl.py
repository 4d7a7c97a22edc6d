"""Tests the library for musl: builds it with musl-gcc and preloads it into a program on a real kernel."""

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing import build, results
from testing.build import BUILD, ROOT, run
from testing.guests import Job

TARGET = "x86_64-unknown-linux-musl"
LOADER = "/lib/ld-musl-x86_64.so.1"
# musl-gcc does not search the folders that contain the kernel's headers.
CC = ["musl-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-idirafter", "/usr/include", "-idirafter",
      f"/usr/include/{build.multiarch()}"]


def rust_target():
    """Returns Rust's musl target if it is installed, otherwise "" for the default target. (Debian does not package
    the musl target.) Rust's core is the same for both targets. From the C library, the code uses only functions,
    Dl_info and the kernel's definitions. These are the same in glibc and musl on x86-64."""
    done = subprocess.run(["rustc", "--print", "target-libdir", "--target", TARGET], capture_output=True, text=True)
    return TARGET if done.returncode == 0 and Path(done.stdout.strip()).is_dir() else ""


@functools.cache
def library(target):
    folder = BUILD / "musl" / (target or "gnu")
    run("make", "-s", "CC=musl-gcc", f"TARGET={target}", f"BUILD={folder.relative_to(ROOT)}")
    return folder / "libksyscall.so.1"


TARGETS = dict.fromkeys([rust_target(), ""])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target or "gnu")
def test_it_requires_only_musl(target):
    needed = [line for line in run("readelf", "-dW", library(target)).splitlines() if "(NEEDED)" in line]
    assert [line.split()[-1] for line in needed] == ["[libc.so]"]
    # A symbol that only glibc provides would have a GLIBC_* version.
    assert "GLIBC" not in run("readelf", "-sW", "--dyn-syms", library(target))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target or "gnu")
def test_a_plugins_private_libbpf_is_reached_under_ld_preload(target, tmp_path):
    def cc(*words):
        run("musl-gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "c-tests/private.c", *words, f"-L{tmp_path}",
            f"-Wl,-rpath,{tmp_path}")
    cc("-shared", "-fPIC", "-DLIBBPF", "-o", tmp_path / "libprivate.so")
    cc("-shared", "-fPIC", "-DPLUGIN", "-o", tmp_path / "plugin.so", "-lprivate")
    cc("-o", tmp_path / "host")
    for environment in ({}, {"LD_PRELOAD": str(library(target))}):
        assert run(tmp_path / "host", "local", tmp_path / "plugin.so", env=environment) == "all arrived\n"


# Each entry describes one way to run a program: the preloaded library, the opened library, and whether the library
# inspects probes.
WAYS = {"without": ("", "", 0), "preloaded": ("ours", "", 1), "opened": ("", "ours", 0)}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program knows the registers of x86-64")
@pytest.mark.parametrize("loader", [[], [LOADER]], ids=["by the kernel", "by the loader"])
@pytest.mark.parametrize("way", WAYS)
def test_probes_are_corrected_only_if_it_was_preloaded(way, loader, tmp_path):
    run(*CC, "c-tests/syscall/syscall.c", "-o", tmp_path / "program")
    preloaded, opened, active = WAYS[way]
    environment = {"LD_PRELOAD": str(library(rust_target()))} if preloaded else {}
    words = [library(rust_target())] if opened else []
    assert run(*loader, tmp_path / "program", "active", *words, env=environment) == f"{active}\n"


@dataclass(frozen=True, eq=False)
class Musl(Job):
    target: str = ""

    def prepare(self, machine, jobs):
        folder = BUILD / "musl"
        folder.mkdir(parents=True, exist_ok=True)

        def cc(*words):
            run(*CC, "c-tests/musl.c", *words)
        cc("-shared", "-fPIC", "-DLIBBPF", "-Wl,-soname,libbpf.so.1", "-o", folder / "libbpf.so.1")
        cc("-Wl,-rpath,/musl", "-o", folder / "musl", folder / "libbpf.so.1")
        machine.put(folder / "musl", "/musl/musl")
        machine.put(folder / "libbpf.so.1", "/musl/libbpf.so.1")
        machine.put(library(self.target), f"/musl/{self.target or 'gnu'}/libksyscall.so.1")
        # musl's loader and musl's C library are the same file, which the program requires under both names.
        for path in (LOADER, "/lib/libc.so"):
            machine.put(LOADER, path)


def job(target):
    name = target or "gnu"
    command = f"LD_PRELOAD=/musl/{name}/libksyscall.so.1 exec /musl/musl"
    return Musl(f"musl-{name}", "trixie", command, target=target)


@pytest.mark.parametrize("job", map(job, TARGETS), ids=str)
def test_program(job, guest, judge):
    outcome = guest(job)
    judge(results.tap(outcome.output, outcome.status))
