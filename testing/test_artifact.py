"""Tests the built and the installed library (exports, dependencies, size, hardening, pkg-config, man pages), and its
headers in C and C++, with and without each libbpf."""

import filecmp
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testing import build, packages
from testing.build import ROOT, run
from testing.targets import SUITES

# The man pages for functions, and all man pages.
FUNCTION_PAGES = ["man/bpf_program__attach_ksyscall.3", "man/ksyscall_links__attach.3"]
PAGES = [*FUNCTION_PAGES, "man/ksyscall.1"]
# The exported functions that libbpf also exports, and those that only this library exports.
LIBBPFS = ["bpf_object__attach_skeleton", "bpf_program__attach", "bpf_program__attach_ksyscall", "libbpf_set_print"]
OWN = ["ksyscall__c_library_call", "ksyscall__function", "ksyscall__name", "ksyscall_link__destroy_all",
       "ksyscall_link__missed", "ksyscall_links__attach", "ksyscall_links__count", "ksyscall_links__destroy",
       "ksyscall_links__function", "ksyscall_links__missed", "ksyscall_links__result",
       "ksyscall_program__recursion_misses"]


@pytest.fixture(scope="module")
def library():
    build.library()
    return ROOT / "build/libksyscall.so.1"


def tags(dynamic, name):
    return re.findall(rf"\({name}\).*\[(.*)\]", dynamic)


def functions(file):
    return re.findall(r" T (\S+)$", run("nm", "-D", "--defined-only", file), re.M)


# Checks on the library's dynamic section and segments, as readelf prints them.
PROMISES = {
    "it needs the C library alone": lambda dynamic, _: tags(dynamic, "NEEDED") == ["libc.so.6"],
    "it is bound at load time and never unloaded": lambda dynamic, _: re.search("NOW.*NODELETE", dynamic),
    "its stack is not executable": lambda _, segments: re.search(r"GNU_STACK.* RW +0x", segments),
    "no segment is writable and executable": lambda _, segments: " RWE " not in segments,
    "it has no text relocations": lambda dynamic, _: "TEXTREL" not in dynamic,
    "nothing is run when it is loaded or the program ends":
        lambda dynamic, _: not re.search(r"\((PREINIT|INIT|FINI)(_ARRAY)?\)", dynamic),
    "it has no search path of its own": lambda dynamic, _: not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_promise(promise, library):
    dynamic, segments = run("readelf", "-dW", library), run("readelf", "-lW", library)
    assert tags(dynamic, "SONAME") == ["libksyscall.so.1"]
    assert "GNU_STACK" in segments
    assert PROMISES[promise](dynamic, segments), dynamic + segments


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the C library's packages are unpacked for x86-64")
def test_it_can_be_built_with_a_glibc_before_2_34(tmp_path):
    """There dlsym() is in libdl, and libpthread contains functions that a program without threads does not load."""
    old = packages.unpack("bullseye", "amd64", "libc6", "libc6-dev")
    libraries, objects = old / "lib/x86_64-linux-gnu", old / "usr/lib/x86_64-linux-gnu"
    (tmp_path / "libdl.so").symlink_to(libraries / "libdl.so.2")
    (tmp_path / "libpthread.so").symlink_to(libraries / "libpthread.so.0")
    (tmp_path / "libc.so").write_text(f"GROUP({libraries}/libc.so.6 {objects}/libc_nonshared.a "
                                      f"AS_NEEDED({libraries}/ld-2.31.so))")
    (tmp_path / "cc").write_text(f'#!/bin/sh\nexec cc -B{objects} -L{tmp_path} "$@"\n')
    (tmp_path / "cc").chmod(0o755)
    run("make", "-s", f"CC={tmp_path}/cc", f"BUILD={tmp_path}", tmp_path / "libksyscall.so")
    (tmp_path / "name.c").write_text('#include <ksyscall.h>\n#include <stdio.h>\n'
                                     "int main(void) { return puts(ksyscall__name(0)) < 0; }\n")
    run(tmp_path / "cc", "-Iinclude", tmp_path / "name.c", "-o", tmp_path / "name", "-lksyscall",
        "-Wl,--allow-shlib-undefined")
    loader = [libraries / "ld-2.31.so", "--library-path", f"{tmp_path}:{libraries}"]
    assert run(*loader, tmp_path / "name") == "_sysctl\n"


def test_exports_libbpfs_functions_and_its_own_and_nothing_else(library):
    libbpf = next(packages.unpack("trixie", "amd64", "libbpf1").glob("usr/lib/*/libbpf.so.1"))
    # libbpf's functions must have libbpf's symbol versions; otherwise programs would not bind to them.
    theirs = {name for name in functions(libbpf) if name.partition("@")[0] in LIBBPFS}
    assert len(theirs) == len(LIBBPFS)
    # This library's syscall() has no version, so that a reference to any version binds to it. The version of the C
    # library's syscall() differs between architectures.
    assert set(functions(library)) == theirs | {f"{name}@@KSYSCALL_1.0" for name in OWN} | {"syscall"}


def test_its_own_calls_are_bound_to_itself(library):
    """Calls between the library's own functions must not appear in the output of LD_DEBUG=bindings. Otherwise every
    program would seem to bind to the library."""
    relocations = run("readelf", "-rW", library)
    assert re.search("GLOB_DAT|JUMP_SLOT", relocations)
    assert not [name for name in LIBBPFS + OWN if f" {name}@" in relocations]
    assert not re.search(r" syscall\b", relocations)


def test_it_is_hardened(library):
    """Runs hardening-check(1) for the stack protector, read-only relocations and immediate binding. Fortified
    functions are not checked, because the compiler knows the size of every buffer that the C files copy to, and Rust
    checks its own buffers. The mark for control flow protection is not checked either: the linker omits the mark if any
    object lacks it, and objects from stable Rust lack it."""
    said = run("hardening-check", "--nofortify", "--nocfprotection", library)
    for feature in ["Stack protected", "Read-only relocations", "Immediate binding"]:
        assert re.search(f"^ {feature}: yes", said, re.M), said


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="elsewhere compilers have other flags, or none")
def test_its_functions_in_c_are_hardened(library):
    code = run("objdump", "-d", "--no-show-raw-insn", library)
    for name in LIBBPFS + OWN:
        body = re.search(rf"<{name}@@[A-Z0-9_.]+>:\n((?:.+\n)+)", code)[1]
        # -fcf-protection marks the targets of indirect calls.
        assert body.split()[1] == "endbr64", f"{name} begins with:\n{body[:200]}"
    # -fstack-protector-strong protects this function, which has a struct on its stack. -fstack-clash-protection leaves
    # no trace here, because it affects only frames larger than a page.
    attach = re.search(r"<bpf_program__attach_ksyscall@@[A-Z0-9_.]+>:\n((?:.+\n)+)", code)[1]
    assert re.search(r"mov +%fs:0x28,", attach), attach


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the names are those of x86-64")
def test_it_imports_few_functions(library):
    """The loader looks up each import in every process that preloads the library. late.c looks up the functions that
    few processes call."""
    imports = set(re.findall(r"GLOB_DAT +[0-9a-f]+ (\w+)", run("readelf", "-rW", library)))
    assert imports <= {"__errno_location", "__stack_chk_fail", "bcmp", "dl_iterate_phdr", "dlsym", "free", "__environ",
                       "malloc", "memcpy", "memset", "strlen"}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the promise is for x86-64")
def test_it_has_at_most_160_kib(library):
    assert library.stat().st_size <= 160 * 1024


def test_the_stack_protector_is_enabled(library):
    assert re.search(r" U __stack_chk_fail\b", run("nm", "-D", library))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the linker's default is so on x86 alone")
def test_read_only_segments_are_not_executable(library):
    """The segment with the ELF header and the symbols contains no code."""
    assert re.search(r"LOAD +0x0+ \S+ \S+ \S+ \S+ R +0x", run("readelf", "-lW", library))


def test_the_builders_flags_come_last():
    """A distribution passes its flags in the variables that dpkg-buildflags sets. These flags must come last."""
    flags = {"CPPFLAGS": "-D_FORTIFY_SOURCE=3", "CFLAGS": "-fno-stack-clash-protection", "LDFLAGS": "-Wl,-z,lazy"}
    said = run("make", "-nB", "BUILD=build/flags", "build/flags/libksyscall.so", env=flags)
    [link] = [line for line in said.splitlines() if " -shared " in line]
    assert "-D_FORTIFY_SOURCE=2" not in link
    assert link.index("-fstack-protector-strong") < link.index(flags["CPPFLAGS"])
    assert link.index(flags["CFLAGS"]) > link.index("-fstack-clash-protection")
    assert link.index(flags["LDFLAGS"]) > link.index("-Wl,-z,now")


@pytest.mark.parametrize("flags", [["CFLAGS=-fvisibility=hidden"], ["CFLAGS=-Wpedantic"],
                                   ["CC=clang", "CFLAGS=-flto"]], ids=["visibility", "pedantic", "lto"])
def test_it_can_be_built_with_a_projects_flags(flags, library, tmp_path):
    shutil.copy(library.parent / "core.a", tmp_path)
    run("make", "-s", "CLI=no", f"BUILD={tmp_path}", "-o", tmp_path / "core.a", *flags, "all")
    assert functions(tmp_path / "libksyscall.so") == functions(library)


def test_cargos_settings_do_not_change_where_the_library_is(tmp_path):
    """A user may have set the target folder or the target for all projects."""
    run("make", "-sB", "BUILD=build/settings", "build/settings/core.a",
        env={"CARGO_BUILD_TARGET_DIR": str(tmp_path / "shared")})
    assert not (tmp_path / "shared").exists()
    said = run("make", "-nB", "BUILD=build/settings", "build/settings/core.a",
               env={"CARGO_BUILD_TARGET": "riscv64gc-unknown-linux-gnu"})
    assert "--target riscv64gc-unknown-linux-gnu " in said
    assert "/riscv64gc-unknown-linux-gnu/capi/libksyscall.a" in said


def test_make_help_lists_the_targets():
    targets = re.findall(r"^([^:\s]+):.* ## ", (ROOT / "Makefile").read_text(), re.M)
    listed = re.findall(r"^ +make (\S+) ", run("make", "-s", "help"), re.M)
    assert "install" in listed
    assert listed == targets


def test_make_removes_an_incomplete_file(tmp_path):
    script = tmp_path / "objcopy"
    script.write_text('#!/bin/sh\nfor file; do :; done\necho >"$file"\nexit 1\n')
    script.chmod(0o755)
    with pytest.raises(build.BuildError):
        run("make", "-s", "CARGO=true", f"OBJCOPY={script}", f"BUILD={tmp_path}", tmp_path / "core.a")
    assert not (tmp_path / "core.a").exists()


def test_relocated_data_is_read_only(library):
    """All relocated data lies in whole pages that the loader makes read-only after it has applied the relocations."""
    segments = run("readelf", "-lW", library)
    written = [int(address, 16) for address in re.findall(r"^([0-9a-f]+) ", run("readelf", "-rW", library), re.M)]
    start, length = (int(n, 16) for n in re.search(r"GNU_RELRO +\S+ (\S+) \S+ \S+ (\S+)", segments).groups())
    assert written
    assert all(start <= address < (start + length) & -4096 for address in written)


def test_a_program_without_libbpf_behaves_the_same_under_ld_preload(library):
    command = "/bin/ls", "-l", "Cargo.toml"
    assert run("env", f"LD_PRELOAD={library}", "sh", "-c", 'exec "$@" 2>&1', "-", *command) == run(*command)


def test_the_program_loads_the_preloaded_library_but_not_libbpf(library):
    maps = run("env", f"LD_PRELOAD={library}", "cat", "/proc/self/maps")
    assert "libksyscall.so" in maps
    assert "libbpf" not in maps


@pytest.fixture(scope="module")
def private(library, tmp_path_factory):
    """Builds a program and its plugins, each with a private libbpf; returns their folder."""
    folder = tmp_path_factory.mktemp("private")
    def cc(out, *words):
        run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "c-tests/private.c", "-o", folder / out, *words,
            f"-L{folder}", f"-L{library.parent}", f"-Wl,-rpath,{folder}:{library.parent}")
    for name, other in (("private", []), ("other", ["-DOTHER"])):
        cc(f"lib{name}.so", "-shared", "-fPIC", "-DLIBBPF", *other)
        cc(f"{name}.so", "-shared", "-fPIC", "-DPLUGIN", f"-l{name}")
        cc(f"{name}-linked.so", "-shared", "-fPIC", "-DPLUGIN", "-Wl,--no-as-needed", "-lksyscall", f"-l{name}")
    cc("host")
    return folder


# The second plugin's libbpf may be loaded at the address of the first plugin's libbpf, with its functions at
# different offsets.
@pytest.mark.parametrize("plugins", [["private.so", "other.so"], ["private-linked.so", "other-linked.so"]],
                         ids=["alone", "linked"])
@pytest.mark.parametrize("how", ["local", "deepbind"])
@pytest.mark.parametrize("is_preloaded", [False, True], ids=["plain", "preloaded"])
def test_a_plugins_private_libbpf_is_reached(plugins, how, is_preloaded, library, private):
    said = run(private / "host", how, *(private / name for name in plugins),
               env={"LD_PRELOAD": str(library)} if is_preloaded else {})
    assert said == "all arrived\n" * len(plugins)


# --- Reproducible builds ---------------------------------------------------------

@pytest.mark.long
def test_two_builds_in_two_folders_are_the_same_bytes(tmp_path):
    # Build with debugging information, which contains most of the build paths.
    make = "make", "-s", "CFLAGS=-g", "BUILD=build/again", "all"
    run(*make)
    copy, home = tmp_path / "a folder/with another's name", tmp_path / "cargo"
    build.copy_sources(copy)
    # Also change the path to the crates' sources.
    home.mkdir()
    for path in Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").glob("*"):
        (home / path.name).symlink_to(path)
    run(*make, cwd=copy, env={"CARGO_TARGET_DIR": str(copy / "target"), "CARGO_HOME": str(home), "TZ": "Asia/Tokyo"})
    libraries = ["libksyscall.so.1", "libksyscall.a"]
    same, *_ = filecmp.cmpfiles(copy / "build/again", ROOT / "build/again", libraries, shallow=False)
    assert same == libraries


# --- Installing and removing -----------------------------------------------------

@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    run("make", "-s", "install", "CLI=yes", f"DESTDIR={root}", "PREFIX=/opt", "LIBDIR=/opt/here")
    return root


@pytest.fixture(scope="module")
def pkg_config(root):
    def pkg_config(*arguments):
        return run("pkg-config", *arguments, env={"PKG_CONFIG_PATH": str(root / "opt/here/pkgconfig"),
                                                  "PKG_CONFIG_SYSROOT_DIR": str(root)}).strip()
    return pkg_config


@pytest.mark.parametrize("file", ["here/libksyscall.so", "here/libksyscall.so.1", "here/libksyscall.a",
                                  "here/libksyscall-static.a", "include/ksyscall.h", "include/ksyscall.bpf.h",
                                  "share/man/man3/bpf_program__attach_ksyscall.3",
                                  *(f"share/man/man3/{name}.3" for name in OWN),
                                  "bin/ksyscall", "share/man/man1/ksyscall.1",
                                  "share/bash-completion/completions/ksyscall",
                                  "share/zsh/site-functions/_ksyscall",
                                  "share/fish/vendor_completions.d/ksyscall.fish"])
def test_installs(root, file):
    assert (root / "opt" / file).exists()


def test_the_pc_files_are_valid(pkg_config):
    pkg_config("--validate", "libksyscall", "libksyscall-static")


def test_cmake_finds_the_libraries_of_the_pc_files(root, pkg_config):
    """For an imported target, CMake searches the folders that -L names for each library that -l names. It does not
    understand -l:NAME, and puts all other words before the object files."""
    for name in ("libksyscall", "libksyscall-static"):
        [folder], [library] = (re.findall(rf"-{option}(\S+)", pkg_config("--libs", name)) for option in "Ll")
        assert folder == f"{root}/opt/here"
        assert list((root / "opt/here").glob(f"lib{library}.[as]*"))


def test_the_pc_files_version(pkg_config):
    assert pkg_config("--modversion", "libksyscall") == re.search(
        '^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def test_a_program_builds_with_pkg_config_and_without_libbpf_gets_null(root, pkg_config, tmp_path):
    (tmp_path / "use.c").write_text(
        "#include <ksyscall.h>\n"
        'int main(void) { return bpf_program__attach_ksyscall(0, "openat", 0) || !ksyscall__name(0); }\n')
    run("cc", "-Wall", "-Wextra", "-Werror", tmp_path / "use.c", "-o", tmp_path / "use",
        *pkg_config("--cflags", "--libs", "libksyscall").split())
    assert tags(run("readelf", "-dW", tmp_path / "use"), "NEEDED") == ["libksyscall.so.1", "libc.so.6"]
    run(tmp_path / "use", env={"LD_LIBRARY_PATH": str(root / "opt/here")})


# Programs for a static libbpf: one attaches to a single call, one attaches a batch, and one attaches a skeleton.
STATIC = {
    "explicit": """#include <bpf/libbpf.h>
#include <ksyscall.h>
int main(void) { return bpf_program__attach_ksyscall(bpf_object__next_program(0, 0), "openat", 0) != 0; }
""",
    "batch": """#include <bpf/libbpf.h>
#include <ksyscall.h>
int main(void)
{
	return ksyscall_links__destroy(ksyscall_links__attach(0, 0, 0, 0));
}
""",
    "section": """#include <bpf/libbpf.h>
int main(void) { return bpf_object__attach_skeleton(0) || bpf_program__attach(bpf_object__next_program(0, 0)); }
""",
}


@pytest.fixture
def link_static(root, tmp_path):
    def link_static(program, *options):
        libbpf = packages.unpack("bookworm", "amd64", "libbpf-dev", "libbpf1") / "usr"
        (tmp_path / "program.c").write_text(STATIC[program])
        run("cc", "-Wall", "-Wextra", "-Werror", "-isystem", libbpf / "include", f"-I{root}/opt/include",
            tmp_path / "program.c", "-o", tmp_path / "program", *options, next(libbpf.glob("lib/*/libbpf.a")),
            *run("pkg-config", "--static", "--libs", "libelf", "zlib").split())
        return tmp_path / "program"
    return link_static


@pytest.mark.parametrize("kind", [[], ["-static"]], ids=["dynamic", "static"])
@pytest.mark.parametrize("program", STATIC)
def test_a_program_with_a_static_libbpf_reaches_the_library(program, kind, link_static, pkg_config):
    if kind and not build.static_libelf_links():
        pytest.skip("this system's libelf.a is not whole, so that nothing with libbpf.a can be linked with -static")
    linked = link_static(program, *pkg_config("--libs", "libksyscall-static").split(), *kind)
    reached = "ksyscall_links__attach" if program == "batch" else "__wrap_bpf_program__attach_ksyscall"
    assert f" T {reached}\n" in run("nm", linked)


@pytest.mark.parametrize("program, error", [
    ("explicit", "multiple definition of .bpf_program__attach_ksyscall"),
    ("section", "undefined reference to .__real_bpf_")])
def test_without_wrap_it_does_not_link(program, error, link_static, root):
    with pytest.raises(build.BuildError, match=error):
        link_static(program, f"-L{root}/opt/here", "-l:libksyscall.a")


# The part of a static libbpf that the program below requires.
LIBBPF = """#include <stdlib.h>
int bpf_object__next_program(void) { return 0; }
void bpf_program__attach_ksyscall(void) { abort(); }
"""


@pytest.mark.parametrize("flag", ["-flto", "-fuse-ld=lld"])
def test_the_compilers_flags_suffice_where_wrap_does_not(flag, root, pkg_config, tmp_path):
    """With LTO, GNU ld ignores --wrap for calls between objects. lld looks up the names before it renames them."""
    (tmp_path / "libbpf.c").write_text(LIBBPF)
    (tmp_path / "program.c").write_text(STATIC["explicit"])
    objects = [tmp_path / "program.o", tmp_path / "libbpf.o"]
    run("cc", "-O2", flag, "-c", tmp_path / "libbpf.c", "-o", objects[1])
    run("cc", "-O2", flag, "-c", tmp_path / "program.c", "-o", objects[0],
        *pkg_config("--cflags", "libksyscall-static").split())
    run("ar", "rcs", tmp_path / "libbpf.a", objects[1])
    run("cc", "-O2", flag, objects[0], "-o", tmp_path / "program", *pkg_config("--libs", "libksyscall-static").split(),
        tmp_path / "libbpf.a")
    run(tmp_path / "program")


def test_the_static_library_exports_no_other_names(library):
    names = re.findall(r" T (?:__wrap_)?(\S+)$", run("nm", "-g", "--defined-only", "build/libksyscall.a"), re.M)
    assert sorted(set(names)) == sorted(LIBBPFS + OWN)


def test_the_pc_files_name_lib64_where_the_system_uses_it(tmp_path):
    run("make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LIBDIR=/usr/lib64")
    assert (tmp_path / "usr/lib64/libksyscall.so.1").exists()
    assert not (tmp_path / "usr/lib").exists()
    for name in ("libksyscall", "libksyscall-static"):
        assert run("pkg-config", "--variable=libdir", name,
                   env={"PKG_CONFIG_PATH": str(tmp_path / "usr/lib64/pkgconfig")}) == "/usr/lib64\n"


def test_uninstalling_leaves_nothing(tmp_path):
    def files(target):
        run("make", "-s", target, f"DESTDIR={tmp_path}/a folder", "PREFIX=/opt", "LIBDIR=/opt/here")
        return [file for file in tmp_path.rglob("*") if not file.is_dir()]
    assert files("install")
    assert files("uninstall") == []


def test_installing_after_make_runs_no_cargo(tmp_path):
    """`sudo make install` may not find the cargo that the user installed with rustup."""
    run("make", "-s", "CLI=yes")
    run("make", "-s", "install", "CLI=yes", "CARGO=false", f"DESTDIR={tmp_path}")
    assert (tmp_path / "usr/local/bin/ksyscall").exists()


def test_nothing_of_the_command_is_installed_without_it(tmp_path):
    run("make", "-s", "install", "CLI=no", f"DESTDIR={tmp_path}", "PREFIX=/opt", "LIBDIR=/opt/here")
    assert not (tmp_path / "opt/bin").exists()
    assert {file.suffix for file in tmp_path.rglob("man?/*")} == {".3"}


def test_the_installed_command_preloads_the_installed_library(root):
    """The command looks for the library in ../lib, where LIBDIR=PREFIX/lib installs it."""
    link = root / "opt/lib"
    if not link.exists():
        link.symlink_to("here")
    said = run(root / "opt/bin/ksyscall", "run", "sh", "-c", "cat /proc/$$/maps; echo $KSYSCALL_KEEP_EVENT.")
    assert f"{root}/opt/here/libksyscall.so.1" in said
    assert said.endswith("\n.\n")


def test_bash_completes_the_command(root):
    script = f"source {root}/opt/share/bash-completion/completions/ksyscall\n" \
             "COMP_WORDS=(ksyscall co); COMP_CWORD=1; _ksyscall ksyscall co ksyscall; echo ${COMPREPLY[@]}"
    assert "count" in run("bash", "-c", script).split()


def test_the_default_libdir_is_that_of_the_system(tmp_path):
    run("make", "-s", "install", f"DESTDIR={tmp_path}")
    assert (tmp_path / "usr/local/lib" / build.multiarch() / "libksyscall.so.1").exists()


def test_the_default_libdir_with_clang_exists(tmp_path):
    """clang prints the name of Debian's folder even if the system has no such folder."""
    clang = tmp_path / "cc"
    clang.write_text('#!/bin/sh\n[ $1 = --version ] && echo clang version 19\n'
                     '[ $1 = -print-multiarch ] && echo nowhere-linux-gnu\n')
    clang.chmod(0o755)
    assert "'/usr/local/lib/pkgconfig'" in run("make", "-n", "install", "CLI=no", f"CC={clang}")


# --- ksyscall.h: alone, and before and after each libbpf.h, in C and C++ ------------

LAYOUT = """
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
_Static_assert(offsetof(struct bpf_ksyscall_opts, sz) == 0, "sz");
_Static_assert(offsetof(struct bpf_ksyscall_opts, bpf_cookie) == 8, "bpf_cookie");
_Static_assert(offsetof(struct bpf_ksyscall_opts, bpf_ksyscall_opts__last_field) == 16, "retprobe");
_Static_assert(sizeof(((struct bpf_ksyscall_opts *)0)->bpf_ksyscall_opts__last_field) == sizeof(bool), "retprobe");
_Static_assert(sizeof(struct bpf_ksyscall_opts) == 24, "size");
struct bpf_link *(*function)(const struct bpf_program *, const char *,
    const struct bpf_ksyscall_opts *) = bpf_program__attach_ksyscall;
"""
OURS, THEIRS = "#include <ksyscall.h>\n", "#include <bpf/libbpf.h>\n"
LANGUAGES = pytest.mark.parametrize("language, standard", [("c", "gnu11"), ("c++", "gnu++11")])


def check_header(includes, language, standard, folder, *options):
    file = folder / "header"
    file.write_text(includes + LAYOUT)
    run("g++", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Iinclude",
        *options, file)


@LANGUAGES
def test_header_alone_with_no_libbpf_installed(language, standard, tmp_path):
    # A folder that contains only the headers of the kernel and of the C library.
    none = tmp_path / "none"
    none.mkdir()
    for entry in os.listdir("/usr/include"):
        if entry != "bpf":
            (none / entry).symlink_to(f"/usr/include/{entry}")
    check_header(OURS, language, standard, tmp_path, "-nostdinc", "-isystem",
                 run("cc", "-print-file-name=include").strip(), "-isystem", none,
                 "-isystem", f"/usr/include/{build.multiarch()}")


@LANGUAGES
@pytest.mark.parametrize("includes", [OURS, OURS + THEIRS, THEIRS + OURS], ids=["alone", "before", "behind"])
@pytest.mark.parametrize("suite", SUITES)
def test_header_with_libbpf_of(suite, includes, language, standard, tmp_path):
    folder = packages.unpack(suite, "amd64", "libbpf-dev")
    check_header(includes, language, standard, tmp_path, "-isystem", folder / "usr/include")


# --- ksyscall.bpf.h: each architecture, each libbpf, with and without vmlinux.h --------------------

BPF = """
SEC("kprobe") int KSYSCALL_PROG(none, getpid) { return KSYSCALL_NR(ctx) + KSYSCALL_IS_COMPAT(ctx); }
SEC("kprobe") int KSYSCALL_PROG(one, close, int fd) { return fd; }
SEC("kprobe") int KSYSCALL_PROG(two, creat, const char *path, unsigned short mode) { return path && mode; }
SEC("kprobe") int KSYSCALL_PROG(pairs, fallocate, int fd, int mode, long long offset, long long len)
{
	return fd == mode && offset == len;
}
SEC("kprobe") int KSYSCALL_PROG(six, mmap, void *a, unsigned long b, int c, int d, int e, long long f)
{
	return a && b + c + d + e + f;
}
SEC("kprobe") int one_by_one(struct pt_regs *ctx)
{
	return KSYSCALL_ARG(ctx, sync_file_range, 4) + KSYSCALL_ARG(ctx, clone, 5) + KSYSCALL_SLOT(ctx, 6);
}
"""
# The part of the kernel's vmlinux.h that libbpf's bpf_helpers.h requires.
VMLINUX = """
#define __VMLINUX_H__
typedef unsigned char __u8;
typedef unsigned short __u16, __be16;
typedef unsigned int __u32, __be32, __wsum;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2 };
"""
BPF_TARGETS = {
    "x86": "bpfel", "x86 -DKSYSCALL_BITS=32": "bpfel", "x86 -D__i386__": "bpfel", "arm64": "bpfel", "arm": "bpfel",
    "riscv": "bpfel", "loongarch": "bpfel", "mips": "bpfel", "s390": "bpfeb", "powerpc": "bpfel",
    "powerpc -DKSYSCALL_BITS=32": "bpfeb",
}


def compile_bpf(source, folder, suite, target, *options):
    (folder / "program.bpf.c").write_text(source)
    libbpf = packages.unpack(suite, "amd64", "libbpf-dev") / "usr/include"
    run("clang", "-target", BPF_TARGETS.get(target, "bpf"), "-O2", "-g", "-Wall", "-Wextra", "-Werror",
        *f"-D__TARGET_ARCH_{target}".split(), *options, "-Iinclude", "-isystem", libbpf,
        "-idirafter", f"/usr/include/{build.multiarch()}", "-c", folder / "program.bpf.c", "-o", folder / "program.o")


@pytest.mark.parametrize("target", BPF_TARGETS)
@pytest.mark.parametrize("suite", [next(iter(SUITES)), list(SUITES)[-1]])
def test_bpf_header(suite, target, tmp_path):
    """Uses the oldest and the newest libbpf. bpf_tracing.h requires struct pt_regs, which VMLINUX lacks."""
    header = "#include <ksyscall.bpf.h>\n" + BPF
    behind = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n"
    compile_bpf(header, tmp_path, suite, target)
    compile_bpf(VMLINUX + header, tmp_path, suite, target, "-DKSYSCALL_CALLERS=KSYSCALL_COMPAT")
    compile_bpf(behind + header, tmp_path, suite, target, "-DKSYSCALL_CALLERS=KSYSCALL_NATIVE")


def test_the_pages_program_builds(tmp_path):
    program = re.search(r"^```c\n(.*?)^```", (ROOT / "docs/arguments.md").read_text(), re.M | re.S)[1]
    compile_bpf(program, tmp_path, "bookworm", "x86", "-Wno-unused-parameter")


@pytest.mark.parametrize("program, error", [
    ("int p(struct pt_regs *ctx) { return KSYSCALL_ARG(ctx, openat, 0); }", "arguments are 1 to 6"),
    ("int p(struct pt_regs *ctx) { return KSYSCALL_SLOT(ctx, 7); }", "words are 1 to 6")])
def test_bpf_header_refuses(program, error, tmp_path):
    with pytest.raises(build.BuildError, match=error):
        compile_bpf(f"#include <ksyscall.bpf.h>\n{program}\n", tmp_path, "bookworm", "x86")


def test_bpf_header_refuses_an_unknown_architecture(tmp_path):
    with pytest.raises(build.BuildError, match="define __TARGET_ARCH_x86"):
        compile_bpf("#include <ksyscall.bpf.h>\n", tmp_path, "bookworm", "vax")


# --- Man pages: format, examples, and each errno in the header -----------------------

@pytest.mark.parametrize("page", PAGES)
def test_mandoc_accepts_the_man_page(page):
    run("mandoc", "-T", "lint", "-W", "warning", page)


@pytest.mark.parametrize("page", PAGES)
def test_groff_accepts_the_man_page(page):
    # groff leaves lines of function arguments short, because it does not break a line inside an argument.
    done = subprocess.run(["groff", "-mandoc", "-ww", "-W", "break", "-z", "-T", "utf8", page], cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("page", FUNCTION_PAGES)
def test_the_man_pages_example_builds(page, library, tmp_path):
    examples = re.search(r"^\.Sh EXAMPLES$(.*?)^\.Sh", (ROOT / page).read_text(), re.M | re.S)[1]
    (tmp_path / "example.c").write_text(re.search(r"^\.Bd.*?\n(.*?)^\.Ed", examples, re.M | re.S)[1])
    run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Iinclude", tmp_path / "example.c",
        "-o", tmp_path / "example", f"-L{library.parent}", "-lksyscall", "-lbpf")


def test_the_man_pages_have_the_errors_of_the_header():
    """Each function's page lists the function's errors."""
    for page in FUNCTION_PAGES:
        declared = re.split(rf"^extern .*{Path(page).stem}\(", (ROOT / "include/ksyscall.h").read_text(), flags=re.M)
        errors = set(re.findall(r"\bE[A-Z]{3,}\b", declared[0].rpartition("/**")[2]))
        assert errors
        listed = re.findall(r"^\.It Bq Er (.*)", (ROOT / page).read_text(), re.M)
        assert errors <= set(" ".join(listed).split())
