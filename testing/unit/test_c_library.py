"""Tests tools/c_library with invented sources."""

import pytest

from tools.c_library import __main__ as tool
from tools.c_library.__main__ import LINUX, Evidence, Glibc, made, words


@pytest.fixture
def glibc(tmp_path):
    def add(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    add(f"{LINUX}/syscalls.list", "execve - execve i:spp __execve execve\n")
    add("sysdeps/unix/syscalls.list", "chmod - chmod i:si __chmod chmod\n")
    add(f"{LINUX}/mkdir.c", "/* INLINE_SYSCALL_CALL (mkdir64) */\n#ifdef __NR_mkdir\n"
        "  return INLINE_SYSCALL_CALL (mkdir, path, mode);\n#else\n"
        "  return INLINE_SYSCALL_CALL (mkdirat, AT_FDCWD, path, mode);\n#endif\n")
    add(f"{LINUX}/pause.c", "return SYSCALL_CANCEL (pause);")
    add(f"{LINUX}/arm/pause.c", "return SYSCALL_CANCEL (ppoll);")
    add(f"{LINUX}/chown.c", "return INLINE_SYSCALL_CALL (chown, file);")
    add(f"{LINUX}/i386/syscalls.list", "chown - chown32 i:sii __chown chown\n")
    add("posix/sleep.c", "__nanosleep (&ts, &ts)")
    add("posix/execv.c", "return __execve (path, argv, __environ);")
    return Glibc(tmp_path)


@pytest.mark.parametrize("calls, files, problems", [
    ("mkdir mkdirat", "mkdir.c", []),
    ("mkdir", "mkdir.c", ["calls mkdir mkdirat, not mkdir"]),
    ("mkdir", "mkdir.c -mkdirat", []),
    ("execve", "/posix/execv.c>__execve", []),
    ("pause", "pause.c", [f"{LINUX}/arm/pause.c takes the place of pause.c"]),
    ("chown", "chown.c", ["a syscalls.list of i386 has chown32 in place of chown.c"]),
    ("chown@64", "chown.c", []),
    ("clock_nanosleep", "/posix/sleep.c>__clock_nanosleep",
     ["/posix/sleep.c does not call __clock_nanosleep", "calls , not clock_nanosleep"]),
    ("fork", "fork.c", ["fork.c makes no call", "calls , not fork"]),
])
def test_missing_sources_are_reported(glibc, calls, files, problems):
    assert list(glibc.problems(calls, Evidence(files))) == problems


def test_the_first_group_of_the_architecture_applies():
    has = {"mkdirat", "clone", "clone3", "ppoll"}
    assert made("mkdir mkdirat", "aarch64", has) == ["mkdirat"]
    assert made("clone@powerpc clone3+clone", "powerpc", has) == ["clone"]
    assert made("clone@powerpc clone3+clone", "powerpc64", has) == ["clone3", "clone"]
    assert made("ppoll@64", "x86", has) == made("pause", "x86", has) == []
    assert words("clone@powerpc clone3+clone") == {"clone", "clone3"}


def test_the_table_is_generated_from_the_lines():
    head = tool.TABLE.read_text().splitlines()[0]
    versions = head.split(", ")[1:3]
    assert tool.table(versions) == tool.TABLE.read_text(), "python3 -m tools.c_library"
