"""What is built on this machine: the library, the C tests, the BPF and Rust programs."""

import functools
import json
import os
import shlex
import subprocess
from pathlib import Path

from testing import packages
from testing.packages import say
from testing.targets import SUITES

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
C_TESTS = ROOT / "c-tests"


class BuildError(Exception):
    """A command that builds something failed; the text is the command and what it said."""


def run(*command, env=None, **options):
    """Runs a command from the top folder and gives what it printed; a failure is a BuildError."""
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=options.pop("cwd", ROOT), env={**os.environ, **(env or {})}, text=True,
                          stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, **options)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@functools.cache
def library():
    """The folder of the library; LIBRARY is one of another build to test."""
    if other := os.environ.get("LIBRARY"):
        return Path(other).resolve()
    say("building the library")
    run("make", "-s", "all")
    return BUILD


@functools.cache
def multiarch():
    return run("cc", "-print-multiarch").strip()


def bpf(source, out, *options):
    """A BPF object of one source file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    run("clang", "-O2", "-g", *(options or ("-target", "bpf", "-D__TARGET_ARCH_x86")),
        "-idirafter", f"/usr/include/{multiarch()}", "-c", source, "-o", out)
    return out


@functools.cache
def installed():
    """The library as `make install` puts it under a folder, and the environment for
    pkg-config to find it there."""
    stage = BUILD / "install"
    run("make", "-s", "install", f"DESTDIR={stage}", "PREFIX=/opt", "LIBDIR=/opt/lib")
    return stage, {"PKG_CONFIG_PATH": str(stage / "opt/lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(stage)}


def linked(source, out):
    """A C program linked to the installed library and this system's libbpf."""
    out.parent.mkdir(parents=True, exist_ok=True)
    flags = run("pkg-config", "--cflags", "--libs", "libksyscall", env=installed()[1]).split()
    run("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", source, "-o", out, *flags, "-lbpf")
    return out


def target_dir():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def rust_test(name):
    """The program of one file of tests/."""
    said = run("cargo", "test", "--locked", "--quiet", "--test", name, "--no-run", "--message-format=json")
    found = [m["executable"] for m in map(json.loads, said.splitlines())
             if m.get("executable") and m["target"]["name"] == name]
    return Path(found[-1])


def rust_example(name, *options):
    run("cargo", "build", "--locked", "--quiet", "--example", name, *options)
    return target_dir() / ("release" if "--release" in options else "debug") / "examples" / name


# --- The C tests ----------------------------------------------------------------

@functools.cache
def c_programs(suite, once):
    """The names of the programs for a libbpf, as MODE/PROGRAM; `once` adds those that need
    no more than one libbpf."""
    return run("make", "-s", "-C", C_TESTS, "list", f"SONAME={SUITES[suite].soname}", f"ONCE={once or ''}").split()


@functools.cache
def c_tests(suite, programs, library_folder=None):
    """Builds programs for a libbpf into a tree for the guest, and gives that tree."""
    suite = SUITES[suite]
    say(f"building for the libbpf of {suite.name}")
    out = BUILD / "c-tests/guest"
    tree = out / suite.name
    out.mkdir(parents=True, exist_ok=True)
    run("make", "-s", "-j2", "-C", C_TESTS, f"SUITE={suite.name}", f"SONAME={suite.soname}", f"OUT={out}",
        "PROGRAMS=" + " ".join(f"{tree}/{program}" for program in programs),
        f"LIBBPF={packages.unpack(suite.name, 'amd64', 'libbpf-dev', suite.libbpf_package)}",
        f"LIBC={packages.unpack(suite.libc, 'amd64', *SUITES[suite.libc].libraries)}",
        f"BPF_HEADERS={packages.unpack('bookworm', 'amd64', 'libbpf-dev', 'libbpf1')}",
        f"LIBRARY={library_folder or library()}")
    return out
