import pytest

from tools.syscall_tables import model
from tools.syscall_tables.model import annotated, check, make, served
from tools.syscall_tables.readers import assembly, macros, preprocess, tbl
from tools.syscall_tables.sources import Tree

TBL64 = "arch/x86/entry/syscalls/syscall_64.tbl"
MAKEFILE = "VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\n"


def tree(folder, version, files):
    """Writes a kernel source tree with these files."""
    for name, text in {"Makefile": MAKEFILE.format(*f"{version}.0".split(".")[:3]), **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Tree(str(folder))


@pytest.fixture
def kernel(tmp_path):
    return tree(tmp_path / "6.12", "6.12", {
        TBL64: "0 common read sys_read\n1 64 stat sys_newstat\n2 x32 stat compat_sys_stat\n3 64 gone\n"
               "4 common mseal sys_mseal\n",
        "fs/stat.c": "SYSCALL_DEFINE2(newstat, const char *, name)\nSYSCALL_DEFINE2(stat, const char *, name)\n"
                     "COMPAT_SYSCALL_DEFINE2(stat, const char *, name)\n",
        "fs/read_write.c": "SYSCALL_DEFINE3(read, int, fd)\n",
        "mm/mseal.c": "SYSCALL_DEFINE3(mseal, long, start)\n",
        "kernel/sys_ni.c": "COND_SYSCALL(mseal);\n",
        "arch/x86/kernel/x.c": "long sys_arch_only(void)\n{\n}\n",
        "drivers/net/no.c": "SYSCALL_DEFINE1(nowhere, int, x)\n",
    })


def test_a_tree_has_the_functions_that_its_version_defines(kernel):
    assert kernel.version == "6.12"
    assert kernel.defined[""] == {"sys_newstat", "sys_stat", "compat_sys_stat", "sys_read", "sys_mseal"}
    assert kernel.defined["x86"] == {"sys_arch_only"}
    assert kernel.conditional == {"sys_mseal"}


def test_a_tree_without_kernel_sources_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="not a kernel source"):
        Tree(str(tmp_path))


def test_a_tbl_has_the_columns_of_its_abis(kernel):
    assert tbl(kernel, TBL64, ("x86", "common", "64")) == {
        "read": "sys_read", "stat": "sys_newstat", "gone": "-", "mseal": "sys_mseal"}
    assert tbl(kernel, "none", ("x86",)) is None


def test_a_tbl_row_has_the_compat_entry_if_any(tmp_path):
    kernel = tree(tmp_path, "6.1", {"t.tbl/syscall.tbl": "1 i386 a sys_a compat_sys_a # why\n2 i386 b sys_b\n"})
    assert tbl(kernel, "t.tbl/syscall.tbl", ("i386",), 1) == {"a": "compat_sys_a", "b": "sys_b"}


def test_preprocess_keeps_the_branches_that_apply(tmp_path):
    kernel = tree(tmp_path, "5.4", {"a/unistd.h": """#define BITS 64
#if BITS == 32 && !defined(X)
no
#elif BITS == 64 /* here */
yes
# ifdef X
#  define Y
x
# else
no
# endif
#else
no
#endif
#ifndef Y
no
#endif
"""})
    lines = list(preprocess(kernel, "a/unistd.h", {"X": 1}))
    assert [line for line in lines if not line.startswith("#")] == ["yes", "x"]


def test_macros_join_names_and_entries_by_number(tmp_path):
    kernel = tree(tmp_path, "6.1", {"a/unistd.h": """#define __NR_openat 56
__SYSCALL(__NR_openat, sys_openat)
#define __NR3264_lseek 62
__SC_3264(__NR3264_lseek, sys_llseek, sys_lseek)
#define __NR_lseek __NR3264_lseek
"""})
    assert macros(kernel, "a/unistd.h", {}) == {"openat": "sys_openat", "lseek": "sys_lseek"}


def test_assembly_tables_are_in_numerical_order(tmp_path):
    kernel = tree(tmp_path, "4.4", {
        "arch/arm/kernel/calls.S": "/* 0 */ CALL(sys_restart_syscall)\n CALL(sys_exit)\n CALL(OBSOLETE(sys_time))\n",
        "a/unistd.h": "#define __NR_exit (__NR_SYSCALL_BASE+ 1)\n#define __NR_time 2\n#define __NR_later 9\n"})
    assert assembly(kernel, "arch/arm/kernel/calls.S", r"CALL\((sys_\w+|OBSOLETE)", "a/unistd.h", {}) == {
        "exit": "sys_exit", "time": "OBSOLETE"}


def test_decorations_and_assembly_entries_lead_to_the_function(tmp_path):
    kernel = tree(tmp_path, "4.15", {
        TBL64: "1 64 a __x64_sys_a\n2 64 b sys_b/ptregs\n3 64 c stub_c\n4 64 d sys_ni_syscall\n"})
    assert served(kernel, "x86_64", "x86", [(tbl, TBL64, ("64",))]) == {"a": "sys_a", "b": "sys_b", "c": "sys_c"}




def test_a_table_has_a_line_for_each_call_and_for_dead_functions(kernel):
    head, _, lines = make("x86_64", {"6.12": kernel}).partition("\n")
    assert head.startswith(f"# x86_64: Linux 6.12; {TBL64}; made by ")
    assert lines == "mseal?\nread\nstat sys_newstat | compat_sys_stat\n"


def test_a_correct_table_has_no_problems(kernel):
    assert check("x86_64", make("x86_64", {"6.12": kernel}), kernel) == (3, [])


@pytest.mark.parametrize("line, problem", [
    ("stat", "x86_64 native 6.12: stat: sys_newstat serves, sys_stat is found"),
    ("stat sys_newstat", "x86_64 compat 6.12: stat: compat_sys_stat serves, sys_newstat is found"),
    ("mseal", "x86_64 6.12: mseal: can be left out, and has no '?'"),
    ("more sys_read", "x86_64 native 6.12: more: there is no such call, sys_read is found"),
])
def test_a_wrong_table_is_reported(kernel, line, problem):
    rows = {row.split()[0].rstrip("?"): row for row in make("x86_64", {"6.12": kernel}).splitlines()[1:]}
    rows[line.split()[0]] = line
    _, problems = check("x86_64", "\n".join(["#", *rows.values()]) + "\n", kernel)
    assert problem in problems


def test_the_first_entry_that_exists_in_a_version_serves_the_call(tmp_path, kernel):
    old = tree(tmp_path / "4.4", "4.4", {
        TBL64: "1 64 stat sys_oldstat\n", "fs/stat.c": "SYSCALL_DEFINE2(oldstat, x)\n"})
    text = make("x86_64", {"4.4": old, "6.12": kernel})
    assert "\nstat sys_newstat sys_oldstat | compat_sys_stat\n" in text


def test_spellings_and_versions_are_written_once(monkeypatch):
    tables = {"a": "#\nexit_group\nmseal\nstat sys_newstat\n", "b": "#\nstat64\n"}
    monkeypatch.setattr(model, "SPELLINGS", {"_exit": "exit_group"})
    once = annotated(tables)
    assert once["a"] == "#\n_exit =exit_group\nexit_group\nmseal@6.10\nnewstat =stat\nstat sys_newstat\nstat64 =stat\n"
    assert annotated(once) == once


TBL32 = "arch/x86/entry/syscalls/syscall_32.tbl"
SIGNALS = "SYSCALL_DEFINE2(rt_sigsuspend, x)\nCOMPAT_SYSCALL_DEFINE2(rt_sigsuspend, x)\n"


@pytest.fixture
def older(tmp_path):
    """Creates the sources of two kernel versions that have the same functions but different system calls."""
    files = {"kernel/signal.c": SIGNALS, "ipc/sem.c": "SYSCALL_DEFINE3(semget, int, key)\n",
             "kernel/rseq.c": "SYSCALL_DEFINE4(rseq, x)\n", "kernel/sys_ni.c": "COND_SYSCALL(rseq);\n"}
    return {"5.0": tree(tmp_path / "5.0", "5.0", files | {TBL32: "179 i386 rt_sigsuspend sys_rt_sigsuspend\n"}),
            "5.4": tree(tmp_path / "5.4", "5.4", files | {TBL32:
                "179 i386 rt_sigsuspend sys_rt_sigsuspend compat_sys_rt_sigsuspend\n"
                "393 i386 semget sys_semget\n386 i386 rseq sys_rseq\n"})}


def test_a_function_that_older_versions_use_differently_has_a_version(older):
    table = make("x86", older)
    assert "\nrt_sigsuspend | sys_rt_sigsuspend@<5.4 compat_sys_rt_sigsuspend\n" in table
    # The newest version here that lacks the call is 5.0, so the table gives the next version, 5.1.
    assert "\nsemget sys_semget@5.1\n" in table
    # The kernel's list of symbols shows whether this call exists.
    assert "\nrseq?\n" in table
    for kernel in older.values():
        assert check("x86", table, kernel)[1] == []


@pytest.mark.parametrize("line, version, problem", [
    ("rt_sigsuspend | compat_sys_rt_sigsuspend sys_rt_sigsuspend", "5.0",
     "x86 compat 5.0: rt_sigsuspend: sys_rt_sigsuspend serves, compat_sys_rt_sigsuspend is found"),
    ("rt_sigsuspend | sys_rt_sigsuspend@<5.5 compat_sys_rt_sigsuspend", "5.4",
     "x86 compat 5.4: rt_sigsuspend: compat_sys_rt_sigsuspend serves, sys_rt_sigsuspend is found"),
    ("semget", "5.0", "x86 compat 5.0: semget: there is no such call, sys_semget is found"),
])
def test_a_wrong_version_is_reported(older, line, version, problem):
    rows = {row.split()[0].rstrip("?"): row for row in make("x86", older).splitlines()[1:]}
    rows[line.split()[0]] = line
    _, problems = check("x86", "\n".join(["#", *rows.values()]) + "\n", older[version])
    assert problem in problems


def test_entries_apply_to_the_versions_that_they_name():
    serving = [[model.serves(entry, version, 0) for version in ("5.0", "5.9", "5.10")]
               for entry in ("sys_a", "sys_a@5.10", "sys_a@<5.10")]
    assert serving == [[True] * 3, [False, False, True], [True, True, False]]
    updates = {("5.4", 302): False, ("5.10", 220): False, ("5.10", 221): True, ("6.1", 9): False, ("6.10", 0): True}
    assert {each: model.serves("sys_a@5.10.221,6.1.97,6.10", *each) for each in updates} == updates


def test_a_stable_update_can_change_the_function(tmp_path):
    def io(version, function):
        return tree(tmp_path / version, version, {
            "arch/x86/entry/syscalls/syscall_32.tbl":
                f"416 i386 io_pgetevents_time64 sys_io_pgetevents {function}\n",
            "fs/aio.c": "SYSCALL_DEFINE6(io_pgetevents, long, id)\n"
                        "COMPAT_SYSCALL_DEFINE6(io_pgetevents_time64, long, id)\n",
        })
    older, newer = io("5.10.9", "sys_io_pgetevents"), io("6.12", "compat_sys_io_pgetevents_time64")
    assert (older.version, older.update) == ("5.10", 9)
    table = make("x86", {"5.10": older, "6.12": newer})
    corrected = io("5.10.221", "compat_sys_io_pgetevents_time64")
    for kernel in (older, corrected, newer):
        assert [problem for problem in check("x86", table, kernel)[1] if "io_pgetevents_time64" in problem] == []
