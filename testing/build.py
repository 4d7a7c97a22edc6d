"""Builds the library, the C tests and the BPF and Rust programs on this machine."""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from testing import packages
from testing.packages import say
from testing.targets import BOUND_LIBBPFS, STATIC_LIBBPFS, SUITES

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
C_TESTS = ROOT / "c-tests"


# Cargo compiles the dependencies once for all commands that select the same packages and features.
WORKSPACE = "--locked", "--quiet", "--workspace", "--features", "ksyscall/capi"


class BuildError(Exception):
    """A build command failed. The exception's message contains the command and its output."""


def run(*command, env=None, **options):
    """Runs a command in the top folder and returns its output; raises BuildError if it fails."""
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=options.pop("cwd", ROOT), env={**os.environ, **(env or {})}, text=True,
                          stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, **options)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def git_files(*options, root=ROOT):
    """Lists files of a git work tree. By default, git refuses to work in another user's tree. The tests need root, and
    the tree often belongs to another user."""
    return run("git", "-c", "safe.directory=*", "ls-files", "-z", *options, cwd=root).split("\0")[:-1]


def copy_sources(folder):
    """Copies the current tree, without the files that git ignores."""
    for name in git_files("-co", "--exclude-standard"):
        # A deleted file may still be in git's index.
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def copy_sources_and_crates(folder):
    """Copies the current tree and the crates that Cargo.lock lists, and tells Cargo to use these crates."""
    copy_sources(folder)
    run("cargo", "vendor", "--locked", "--quiet", folder / "vendor")
    (folder / ".cargo").mkdir(exist_ok=True)
    (folder / ".cargo/config.toml").write_text('''[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "vendor"
''')


@functools.cache
def library():
    """Returns the folder that contains the library. To test another build, set the environment variable LIBRARY to its
    folder."""
    if other := os.environ.get("LIBRARY"):
        return Path(other).resolve()
    say("building the library")
    run("make", "-s", "all")
    return BUILD


@functools.cache
def library_by_clang():
    """Builds the library with its C files compiled by clang; returns its folder. Uninitialised registers and memory
    contain different values with clang than with gcc."""
    run("make", "-s", "CC=clang", "BUILD=build/clang", "build/clang/libksyscall.so")
    return BUILD / "clang"


@functools.cache
def multiarch():
    return run("cc", "-print-multiarch").strip()


def bpf(source, out, *options):
    """Compiles a source file to a BPF object."""
    out.parent.mkdir(parents=True, exist_ok=True)
    run("clang", "-O2", "-g", *(options or ("-target", "bpf", "-D__TARGET_ARCH_x86")),
        "-idirafter", f"/usr/include/{multiarch()}", "-c", source, "-o", out)
    return out


@functools.cache
def installed():
    """Installs the library into a folder with `make install`; returns the folder and the
    environment in which pkg-config finds the library there."""
    stage = BUILD / "install"
    run("make", "-s", "install", "CLI=no", f"DESTDIR={stage}", "PREFIX=/opt", "LIBDIR=/opt/lib")
    return stage, {"PKG_CONFIG_PATH": str(stage / "opt/lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(stage)}


def c(source, out, *options):
    """Builds a C program."""
    out.parent.mkdir(parents=True, exist_ok=True)
    run("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", source, "-o", out, *options)
    return out


def linked(source, out):
    """Builds a C program with the installed library and this system's libbpf."""
    return c(source, out, *run("pkg-config", "--cflags", "--libs", "libksyscall", env=installed()[1]).split(), "-lbpf")


def i386(source, out):
    """Builds a 32-bit program that requires no C library."""
    out.parent.mkdir(parents=True, exist_ok=True)
    run("clang", "-m32", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-stack-protector",
        "-fno-pic", "-static", "-nostdlib", source, "-o", out)
    return out


@functools.cache
def command():
    """Builds the command `ksyscall`."""
    say("building the command ksyscall")
    run("make", "-s", "cli")
    return BUILD / "ksyscall"


def target_dir():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def rust_test(name):
    """Builds the test program for a file in tests/."""
    said = run("cargo", "test", *WORKSPACE, "--test", name, "--no-run", "--message-format=json")
    found = [m["executable"] for m in map(json.loads, said.splitlines())
             if m.get("executable") and m["target"]["name"] == name]
    return Path(found[-1])


def rust_example(name, *options):
    run("cargo", "build", *WORKSPACE, "--example", name, *options)
    return target_dir() / ("release" if "--release" in options else "debug") / "examples" / name


# --- The C tests ----------------------------------------------------------------

@functools.cache
def libbpf(name):
    """Returns (folder, SONAME) for a version of libbpf; the folder contains the library and its headers."""
    if name in BOUND_LIBBPFS:
        return bound_libbpf(name), "libbpf.so.1"
    suite = SUITES[name]
    return packages.unpack(name, "amd64", "libbpf-dev", suite.libbpf_package), suite.soname


def bound_libbpf(name):
    """Builds Debian's newest libbpf from its source package, with flags that other distributions use."""
    source = packages.unpack("sid", "source", "libbpf")
    version = re.search(r"\((.*?)\)", (source / "debian/changelog").read_text())[1]
    # The build depends on this system's compiler, libelf and zlib.
    folder = packages.CACHE / "built" / f"libbpf-{version}-{name}-gcc{run('cc', '-dumpfullversion').strip()}"
    if folder.is_dir():
        return folder
    say(f"building libbpf {version}, {name}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    cflags, ldflags = BOUND_LIBBPFS[name]
    with tempfile.TemporaryDirectory(prefix=".new.", dir=folder.parent) as work:
        tree = Path(work, "tree")
        # Drop the caller's make flags, because the test requires exactly the flags below.
        run("env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-s", "-j2", "-C", source / "src",
            f"OBJDIR={work}/objects", f"DESTDIR={tree}", "PREFIX=/usr", f"LIBDIR=/usr/lib/{multiarch()}",
            f"CFLAGS={cflags}", f"LDFLAGS={ldflags}", "install")
        # The tests are meaningful only if libbpf exports the function and calls it without going through the PLT.
        library = next(tree.glob("usr/lib/*/libbpf.so.1"))
        if (" bpf_program__attach_ksyscall@" not in run("readelf", "-W", "--dyn-syms", library)
                or re.search("JU?MP_SLO.*bpf_program__attach_ksyscall", run("readelf", "-rW", library))):
            raise BuildError(f"libbpf {version} is not bound to itself by {ldflags}")
        # A concurrent run may already have created the folder.
        if not folder.is_dir():
            tree.rename(folder)
    return folder


@functools.cache
def static_flags():
    """Returns the linker options for libksyscall.a, or an empty string if LIBRARY names another build."""
    if os.environ.get("LIBRARY"):
        return ""
    return run("pkg-config", "--libs", "libksyscall-static", env=installed()[1]).strip()


@functools.cache
def static_libelf_links():
    """Returns whether programs can be linked with this system's libelf.a. On Debian 13 (elfutils 0.192),
    linking fails because libeu.a is missing."""
    try:
        run("cc", "-static", "-xc", "-", "-xnone", "-o", "/dev/null", *run("pkg-config", "--static", "--libs",
            "libelf").split(), stdin=None, input="int elf_end(void *); int main(void) { return elf_end(0); }")
    except BuildError:
        return False
    return True


@functools.cache
def c_programs(name, once):
    """Lists the test programs for a version of libbpf as MODE/PROGRAM. `once` adds the programs that need to run with
    only one version."""
    is_static = name in STATIC_LIBBPFS and not os.environ.get("LIBRARY")
    soname = SUITES[name].soname if name in SUITES else "libbpf.so.1"
    programs = run("make", "-s", "-C", C_TESTS, "list", f"SUITE={name}", f"SONAME={soname}",
                   f"ONCE={once or ''}", f"STATIC={is_static or ''}").split()
    # test_artifact.py reports why the static programs are missing.
    return [program for program in programs if not program.startswith("static/") or static_libelf_links()]


@functools.cache
def c_tests(name, programs):
    """Builds test programs for a version of libbpf into a tree for the guest; returns that tree."""
    say(f"building for the libbpf of {name}")
    out = BUILD / "c-tests/guest"
    out.mkdir(parents=True, exist_ok=True)
    folder, soname = libbpf(name)
    libc = SUITES[SUITES[name].libc if name in SUITES else "trixie"]
    headers, _ = libbpf("bookworm")
    run("make", "-s", "-j2", "-C", C_TESTS, f"SUITE={name}", f"SONAME={soname}", f"OUT={out}",
        "PROGRAMS=" + " ".join(f"{out}/{name}/{program}" for program in programs), f"LIBBPF={folder}",
        f"LIBC={packages.unpack(libc.name, 'amd64', *libc.libraries, 'libgcc-s1', 'libstdc++6')}",
        f"BPF_HEADERS={headers}", f"LIBRARY={library()}",
        f"STATIC={static_flags() if name in STATIC_LIBBPFS else ''}")
    return out
