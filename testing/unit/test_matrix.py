import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from testing import matrix, packages
from testing.conftest import chosen_cells
from testing.matrix import Run, Shown, names_of_calls, report
from testing.pages import with_results
from testing.targets import CELLS, MATRIX, Cell

OURS = """6.1.0
# libksyscall.so.1, by cookies
openat\t257\tok\t__x64_sys_openat\t1\tEFAULT\t-
stat\t4\tok\t__x64_sys_newstat\t1\tEFAULT\t-
mseal\t462\tENOENT\t-\t0\tENOSYS\t-
# end
"""
THEIRS = OURS.replace("libksyscall.so.1", "libbpf.so.1").replace("newstat\t1", "stat\t0")
TAP = "TAP version 13\nok 1 - this_library_answers\nok 2 - runs\nok 3 - cookie # SKIP none here\n1..3\n"


def test_the_calls_match_the_header():
    assert names_of_calls("#define __NR_openat 257\n#define __NR_syscalls 9\n#define __NR_3264_x 1\n") == [
        "3264_x", "openat"]


def test_a_call_fires_that_runs_the_program_once():
    run = Run(OURS, THEIRS)
    assert (run.kernel, run.fired, run.all, run.missed, run.absent) == ("6.1.0", 2, 2, {}, ["mseal"])
    assert Run(THEIRS, OURS).missed == {"stat": "attached to __x64_sys_stat, never ran"}


@pytest.mark.parametrize("line, how", [
    ("stat\t4\tok\tf\t2\tEFAULT\t-", {"stat": "ran 2 times"}),
    ("stat\t4\tEINVAL\t-\t0\tEFAULT\t-", {"stat": "attach: EINVAL"}),
    ("stat\t4\tok\tf\t1\tEFAULT\topenat", {"stat": "the program of openat ran for it; "}),
    ("gone\t9\tEPERM\t-\t0\tENOSYS\t-", {"gone": "not implemented, but the error is EPERM"}),
    ("gone\t9\tok\tf\t3\tENOSYS\tother", {"gone": "not implemented, yet attached to f, which other calls run"}),
    ("gone\t9\tok\tf\t0\tENOSYS\t-", {"gone": "not implemented, yet attached to f, which never ran"}),
    # Names with the same number are one call, so the program for one name may run for another name.
    ("gone\t257\tok\tf\t0\tENOSYS\t-\nstat\t257\tok\tf\t1\tEFAULT\tgone", {}),
])
def test_missed_calls_are_described(line, how):
    text = "6.1.0\nopenat\t257\tok\tf\t1\tEFAULT\t-\n" + line + "\n"
    assert Run(text, "6.1.0\n").missed == how


def test_functions_that_never_run_under_libbpf_are_idle():
    text = "6.1.0\nopenat\t257\tok\tf\t1\tEFAULT\t-\ngone\t9\tok\tf\t0\tENOSYS\t-\n"
    run = Run(text, text)
    assert (run.idle, run.missed, run.absent) == (["gone"], {}, [])
    assert Run(text, text.replace("gone\t9\tok", "gone\t9\tENOENT")).idle == []


@pytest.fixture
def folder(tmp_path):
    for suffix, text in {"libbpf": THEIRS, "static": OURS, "libksyscall": OURS, "attach": TAP}.items():
        (tmp_path / f"sid.{suffix}").write_text(text)
    return tmp_path


def test_a_cell_has_a_row_and_notes(folder):
    shown = Shown(Cell("amd64", "sid"), folder)
    assert shown.row == ["amd64", "6.1.0", "1 of 2", "2 of 2", "2 of 2", "1 of 2"]
    assert shown.notes == ["- amd64, 6.1.0: attach test `cookie`: none here (skip)"]
    assert shown.absent == "- amd64, 6.1.0: `mseal`"
    assert not shown.results.of("failed")


def test_a_missed_call_fails_unless_no_kprobe_can_reach_it(folder):
    missed = OURS.replace("openat\t257\tok\t__x64_sys_openat\t1", "perf_event_open\t298\tEINVAL\t-\t0")
    (folder / "sid.libksyscall").write_text(missed)
    assert str(Shown(Cell("amd64", "sid"), folder).results.of("failed")[0]) == "failed perf_event_open: attach: EINVAL"
    (folder / "sid.libksyscall").write_text(missed.replace("6.1.0", "5.10.0-3"))
    shown = Shown(Cell("amd64", "sid"), folder)
    assert not shown.results.of("failed")
    assert "compiled without ftrace sites" in shown.notes[0]


def test_the_wrong_library_fails(folder):
    (folder / "sid.libksyscall").write_text(OURS.replace("libksyscall", "libbpf"))
    assert Shown(Cell("amd64", "sid"), folder).results.of("failed")


def test_a_call_that_preloading_loses_fails(folder):
    (folder / "sid.static").write_text(OURS.replace("__x64_sys_openat\t1", "__x64_sys_openat\t0"))
    [failed] = Shown(Cell("amd64", "sid"), folder).results.of("failed")
    assert failed.reason == "openat"


def test_the_report_lists_what_was_not_run(folder):
    results = report([Shown(Cell("amd64", "sid"), folder)], {Cell("s390x", "trixie"): "no package"})
    assert "| s390x | of trixie | not run | not run | not run | not run |\n" in results["coverage"]
    assert "- s390x, the kernel of trixie: not run: no package\n" in results["exceptions"]
    # The page has a place for each result.
    assert all(result in with_results(matrix.PAGE.read_text(), results) for result in results.values())


def test_the_page_has_a_row_for_each_cell():
    # Check only the first table; another table lists 32-bit callers.
    table = matrix.PAGE.read_text().partition("\n## ")[0]
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if " of " in line[:70]]
    assert [row for row in rows if row in {cell.process for cell in CELLS}] == [cell.process for cell in CELLS]


class Config:
    def __init__(self, named):
        self.getoption = {"matrix": named}.get


def test_an_architecture_selects_all_of_its_kernels():
    assert chosen_cells(Config(None)) == MATRIX
    assert list(map(str, chosen_cells(Config("riscv64 i386:bookworm")))) == [
        "i386:bookworm", "riscv64:trixie", "riscv64:sid"]
    assert chosen_cells(Config("all")) == CELLS
    with pytest.raises(pytest.UsageError, match="no such kernel: vax"):
        chosen_cells(Config("vax sid"))


def test_runs_that_share_a_tree_see_their_own_sources(tmp_path):
    tree, sources = tmp_path / "tree", {name: tmp_path / name for name in ("first", "second")}
    (tree / "src/ksyscall").mkdir(parents=True)
    (tree / "bin").mkdir()
    busybox = packages.unpack("trixie", "amd64", "busybox-static")
    shutil.copy(next(busybox.rglob("bin/busybox")), tree / "bin/sh")
    for name, source in sources.items():
        source.mkdir()
        (source / "name").write_text(f"{name}\n")
    os.mkfifo(sources["first"] / "pipe")
    with ThreadPoolExecutor() as threads, open(os.open(sources["first"] / "pipe", os.O_RDWR), "w") as pipe:
        first = threads.submit(matrix.inside(tree, sources["first"]), "sh", "-c",
                               ": > started; read line < pipe; read name < name; echo $name")
        while not (sources["first"] / "started").exists():
            assert not first.done(), first.result()
        second = matrix.inside(tree, sources["second"])("sh", "-c", "read name < name; echo $name")
        print(file=pipe, flush=True)
        assert (first.result(), second) == ("first\n", "second\n")
    assert not list((tree / "src/ksyscall").iterdir())
