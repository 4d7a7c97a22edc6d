"""Builds a kernel with x32, which no Debian kernel supports, and runs a client that makes x32 calls.

The client is a 64-bit process. It makes x32 calls by their numbers, which contain __X32_SYSCALL_BIT. callers.py builds
the tracer.
"""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from testing import build, matrix, packages
from testing.build import ROOT
from testing.callers import file_of, tracer
from testing.matrix import OUT
from testing.packages import CACHE, say
from testing.targets import SUITES, X32, Cell
from testing.vm import Failure, Machine

CONFIG = ROOT / "testing/x32.config"
# __X32_SYSCALL_BIT in <asm/unistd.h>.
X32_BIT = "0x40000000"


def kernel():
    """Builds a small kernel from the source package of trixie's kernel; returns its image."""
    name = f"linux-source-{SUITES[X32.suite].linux}"
    source = packages.unpack(X32.suite, "amd64", name, only="usr/src") / f"usr/src/{name}.tar.xz"
    digest = hashlib.sha256(source.read_bytes() + CONFIG.read_bytes()).hexdigest()[:16]
    folder = CACHE / "built" / f"{name}-x32-{digest}"
    if not folder.exists():
        say(f"building a kernel of {name} with x32 (ten minutes on two cores, once)")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new.", dir=folder.parent) as work:
            tree = Path(work, name)
            build.run("tar", "-x", "-C", work, "-f", source)

            def make(*words):
                build.run("env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-s", f"-j{os.cpu_count()}", *words,
                          "-C", tree)
            make("tinyconfig")
            with open(tree / ".config", "a") as config:
                config.write(CONFIG.read_text())
            make("olddefconfig")
            has = (tree / ".config").read_text().splitlines()
            if missing := [line for line in CONFIG.read_text().splitlines() if line not in has and line[:1] != "#"]:
                raise build.BuildError(f"{name} has not taken {' '.join(missing)}")
            make("bzImage")
            image = Path(work, "image")
            image.mkdir()
            shutil.copy(tree / "arch/x86/boot/bzImage", image)
            # A concurrent run may already have created the folder.
            if not folder.exists():
                image.rename(folder)
    return folder / "bzImage"


def client(of):
    """Builds the client that makes the x32 calls; `of` is the folder with the native client's headers."""
    out = OUT / X32.process
    out.mkdir(parents=True, exist_ok=True)
    headers = ["-isystem", of / "include/kernel/x86_64-linux-gnu", "-isystem", of / "include/kernel"]
    (out / "unistd.c").write_text("#include <asm/unistd_x32.h>\n")
    macros = build.run("cc", "-E", "-dM", "-nostdinc", *headers, out / "unistd.c")
    calls = re.findall(r"^#define __NR_(\w+) \(__X32_SYSCALL_BIT \+ (\d+)\)", macros, re.M)
    (out / "calls.h").write_text("".join(f'\t{{ "{name}", {X32_BIT} + {number} }},\n'
                                         for name, number in sorted(calls)))
    build.run("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{out}", "-Ic-tests/matrix", "-Iinclude",
              "-isystem", of / "include/libbpf", *headers, "-Wl,--allow-shlib-undefined", "c-tests/matrix/coverage.c",
              "-o", out / "coverage", of / "libbpf.so.1")
    return out / "coverage"


def run_cell():
    """Runs the tracer and the client; saves their output in the same way as callers.py. Returns the
    output of c-tests/x32.c, which tests the C library on this kernel."""
    file_of(X32).unlink(missing_ok=True)
    folder, release = matrix.programs(Cell("amd64", X32.suite)), SUITES["trixie"]
    with Machine(X32.suite, kernel=kernel()) as machine:
        for source, name in ((tracer(X32.kernel), "tracer"), (folder / "coverage.bpf.o", "coverage.bpf.o"),
                             (client(folder), "coverage-32"), (folder / "coverage", "coverage-64")):
            machine.put(source, f"/m/{name}")
        tree = build.c_tests(X32.suite, ("linked/x32",)) / X32.suite
        for name in ("linked/x32", "lib"):
            machine.put(tree / name, f"/t/{X32.suite}/{name}")
        machine.put(build.library() / "libksyscall.so.1", "/t/libksyscall.so.1")
        machine.folders.append(folder)
        machine.roots.append(packages.unpack(release.name, "amd64", *release.libraries, "libgcc-s1"))
        say("running the tracer on the kernel with x32")
        traced, tested = machine.run([
            "uname -r; exec /m/tracer /m/coverage.bpf.o all /m/coverage-32 /m/coverage-64",
            f"LD_PRELOAD=/t/libksyscall.so.1 exec /t/{X32.suite}/linked/x32"], 1800)
    if traced.status or traced.is_bug or tested.is_bug:
        raise Failure(f"exit status {traced.status}\n{traced.output}{traced.trouble}{tested.trouble}")
    file_of(X32).write_text(traced.output)
    return tested
