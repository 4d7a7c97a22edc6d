import pytest

from testing.arguments import PAGE, Shown, functions, prototypes, report
from testing.pages import with_results
from testing.targets import Cell

EVENTS = "6.1.0\n" + "".join(
    f"sys_enter_{event}/format:\tfield:{kind}{name};\toffset:{8 * n};\tsize:8;\tsigned:0;\n"
    for event, own in {
        "openat": [("int ", "dfd"), ("const char * ", "filename"), ("__data_loc char[] ", "__filename_val")],
        "lseek": [("unsigned int ", "fd"), ("off_t ", "offset")],
        "inotify_rm_watch": [("int ", "fd"), ("__s32 ", "wd")],
        "newstat": [("const char * ", "filename")],
        "getpid": [],
    }.items()
    for n, (kind, name) in enumerate([("unsigned short ", "common_type"), ("unsigned char ", "common_flags"),
                                      ("unsigned char ", "common_preempt_count"), ("int ", "common_pid"),
                                      ("int ", "__syscall_nr"), *own]))


def line(name, number, seen, made, hits=1, is_compat=0, count=0, seen_number=None):
    words = [f"{word:x}" for words in (seen, made) for word in (*words, *[0] * (6 - len(words)))]
    fields = [name, number, "ok", hits, seen_number or number, is_compat, count, *words]
    return "\t".join(map(str, fields)) + "\n"


PATH = "# path\tok\t-14\t18\t/proc/self/status\n"


@pytest.fixture
def shown(tmp_path):
    def shown(ours, theirs="", process="amd64", rust=None, path=PATH):
        cell = Cell(process, "bookworm")
        (tmp_path / cell.process).mkdir()
        # A complete run has at least this many lines.
        many = "".join(line(f"getpid{n}", n, [], []) for n in range(200))
        texts = {"ours": many + ours + path + "# end\n", "rust": many + (ours if rust is None else rust) + path,
                 "theirs": theirs}
        for name, text in {**texts, "events": EVENTS}.items():
            (tmp_path / cell.process / f"bookworm.{name}").write_text(text)
        return Shown(cell, tmp_path)
    return shown


def wrong(shown):
    """Returns the C programs' failures. The Rust programs have the same failures, unless a test
    concerns only Rust."""
    return {point.name: point.reason for point in shown.results.of("failed") if "in Rust" not in point.name}


def wrong_in_rust(shown):
    return {point.name: point.reason for point in shown.results.of("failed") if "in Rust" in point.name}


def test_the_kernels_description_of_a_function():
    assert prototypes(EVENTS) == {"openat": ["int", "const char *"], "lseek": ["unsigned int", "off_t"],
                                  "inotify_rm_watch": ["int", "__s32"], "newstat": ["const char *"], "getpid": []}


def test_the_functions_of_a_call():
    assert functions("x86_64")["stat"][0] == "sys_newstat"
    assert functions("x86")["pread64"] == ["sys_ia32_pread64", "sys_pread64", "sys_ia32_pread64",
                                           "compat_sys_x86_pread", "sys32_pread", "sys_pread64"]


def test_right_arguments_are_counted(shown):
    one = shown(line("openat", 257, [1, 2], [1, 2]) + line("stat", 4, [3], [3]),
                line("openat", 257, [1, 7], [1, 2]) + line("stat", 4, [3], [3], hits=0))
    assert (wrong(one), one.row) == ({}, ["amd64", "6.1.0", "2", "3", "1", "3", "3"])
    assert one.notes[0] == "- amd64, 6.1.0: BPF_KSYSCALL: `openat`"


@pytest.mark.parametrize("bad, why", [
    (line("openat", 257, [1, 3], [1, 2]), "argument 2 is 0x3, not 0x2"),
    (line("openat", 257, [1, 2], [1, 2], seen_number=9), "the number is 9, not 257"),
    (line("openat", 257, [1, 2], [1, 2], is_compat=1), "is_compat is True"),
    # The number of arguments that the program reports takes precedence over the kernel's prototype.
    (line("openat", 257, [1, 2, 3, 4], [1, 2, 3, 5], count=4), "argument 4 is 0x4, not 0x5"),
])
def test_wrong_arguments_are_described(bad, why, shown):
    assert wrong(shown(bad)) == {"openat": why}


def test_the_rust_program_must_see_the_same_values(shown):
    one = shown(line("openat", 257, [1, 2], [1, 2]) + line("stat", 4, [3], [3]),
                rust=line("openat", 257, [1, 3], [1, 2], is_compat=1))
    assert wrong(one) == {}
    assert wrong_in_rust(one) == {"openat, in Rust": "argument 2 is 0x3, not 0x2; is_compat is True",
                                  "stat, in Rust": "the program did not run"}
    assert one.row[-2:] == ["3", "1"]


def test_calls_through_multiplexers_are_counted_separately(shown):
    made = line("ipc:openat", 117, [1, 2], [1, 2]) + line("ipc:stat", 117, [3], [3])
    one = shown(made)
    assert (wrong(one), one.row) == ({}, ["amd64", "6.1.0", *"00000"])
    assert one.multiplexed == ["amd64", "6.1.0", "2 of 2", "2 of 2", "3 of 3", "3 of 3"]
    assert "| amd64 | 6.1.0 | 2 of 2 | 2 of 2 | 3 of 3 | 3 of 3 |" in report([one], {})["multiplexers"]


@pytest.mark.parametrize("hits, why, row", [(0, "the program did not run", ["1 of 2", "2 of 2", "1 of 3", "3 of 3"]),
                                            (2, "programs ran 2 times", ["1 of 2", "2 of 2", "3 of 3", "3 of 3"])])
def test_a_call_through_a_multiplexer_runs_one_program_once(hits, why, row, shown):
    good = line("ipc:openat", 117, [1, 2], [1, 2]) + line("ipc:stat", 117, [3], [3])
    one = shown(line("ipc:openat", 117, [1, 2], [1, 2], hits=hits) + line("ipc:stat", 117, [3], [3]), rust=good)
    assert wrong(one) == {"ipc:openat, in C": why}
    assert one.multiplexed == ["amd64", "6.1.0", *row]


def test_the_path_is_read_at_the_return(shown):
    assert "| -EFAULT | `/proc/self/status` | `/proc/self/status` |" in report([shown("")], {})["paths"]


@pytest.mark.parametrize("path", ["", "# path\tok\t-14\t-14\t\n", "# path\tENOENT\t0\t0\t\n"])
def test_a_path_that_is_not_read_fails(path, shown):
    assert "a path that is not in memory, in C" in wrong(shown("", path=path))


def test_32_bit_signs_are_extended(shown):
    assert wrong(shown(line("lseek", 19, [1, 0x80000000], [1, 0x80000000])
                       + line("inotify_rm_watch", 293, [1, 0xffffffff80000000], [1, 0x80000000]), process="i386")) == {
        "lseek": "argument 2 is 0x80000000, not 0xffffffff80000000"}


def test_a_run_that_ends_early_fails(shown, tmp_path):
    shown("")
    (tmp_path / "amd64/bookworm.ours").write_text(line("openat", 257, [1, 2], [1, 2]))
    assert "each call" in wrong(Shown(Cell("amd64", "bookworm"), tmp_path))


def test_cells_that_did_not_run_are_in_the_report(shown):
    results = report([shown(line("stat", 4, [3], [3]), "# does not load: the kernel has no BTF\n")],
                     {Cell("riscv64", "sid"): "no package list of sid riscv64: 404 of a mirror"})
    assert "| riscv64 | of sid | not run |" in results["arguments"]
    assert "| amd64 | 6.1.0 | 1 | 1 | - | 1 | 1 |" in results["arguments"]
    assert "- amd64, 6.1.0: BPF_KSYSCALL: no program loads: the kernel has no BTF" in results["exceptions"]
    assert "- riscv64, the kernel of sid: not run: no package list of sid riscv64\n" in results["exceptions"]
    # The page has a place for each result.
    assert all(result in with_results(PAGE.read_text(), results) for result in results.values())


def test_prototypes_of_32_bit_functions_come_from_32_bit_kernels(shown, tmp_path):
    shown("", process="i386")
    text = "".join(event for event in EVENTS.splitlines(True) if "lseek" not in event)
    (tmp_path / "i386@amd64").mkdir()
    for name, content in (("ours", line("lseek", 19, [1, 2], [1, 2], is_compat=1)), ("rust", ""), ("theirs", ""),
                          ("events", text)):
        (tmp_path / f"i386@amd64/trixie.{name}").write_text(content)
    assert Shown(Cell("i386@amd64", "trixie"), tmp_path).all == 2
