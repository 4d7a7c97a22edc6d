import os
import re
import shutil
import subprocess

import pytest

from testing import vm
from testing.initramfs import Image, Missing, architecture, entry, needed
from testing.vm import Console, Failure, Machine


def feed(*chunks):
    console = Console("n")
    return [outcome for chunk in chunks for outcome in console.feed(chunk)]


def test_output_is_the_text_between_the_marks():
    outcomes = feed(b"[ 0.1] boot\n@n begin@\nhello\n", b"bye\n@n end 3@\nOops: x\n@n done@\n")
    assert [(o.output, o.status, o.trouble) for o in outcomes] == [("hello\nbye\n", 3, "Oops: x")]
    assert outcomes[0].is_bug


def test_marks_are_found_in_any_partition_of_the_console():
    text = b"x@n begin@\n@n begi" + b"." * 300 + b"@n end 0@\n@n done@\n@n begin@\nsecond\n@n end 1@\n@n done@\n"
    outcomes = feed(*(text[i:i + 1] for i in range(len(text))))
    assert [o.output for o in outcomes] == ["@n begi" + "." * 300, "second\n"]
    assert [o.status for o in outcomes] == [0, 1]
    assert not any(o.trouble for o in outcomes)


def test_a_warning_is_not_a_bug():
    outcomes = feed(b"@n begin@\n@n end 0@\nWARNING: x\n@n done@\n")
    assert outcomes[0].trouble == "WARNING: x"
    assert not outcomes[0].is_bug


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine that runs a shell script instead of QEMU. The script writes the console output to a file, `console`."""
    monkeypatch.setattr(vm.packages, "kernel", lambda suite, arch: tmp_path)
    monkeypatch.setattr(vm.shutil, "which", lambda tool: tool)
    monkeypatch.setattr(Machine, "write_image", lambda self, commands: machine.images.append(len(commands)))
    monkeypatch.setattr(vm.secrets, "token_hex", lambda size: "n")
    popen = subprocess.Popen

    def qemu(command, **options):
        return popen(["sh", "-c", machine.script], cwd=machine.folder,
                     env={**os.environ, "QEMU": " ".join(command)}, **options)
    monkeypatch.setattr(vm.subprocess, "Popen", qemu)
    with Machine(accel="tcg") as machine:
        machine.images = []
        yield machine


def test_a_boot_that_fails_before_the_command_is_repeated(machine):
    machine.script = """echo x >> boots; [ $(wc -l < boots) = 3 ] || { echo panic > console; exit 0; }
        echo '@n begin@' > console; echo out >> console; echo '@n end 0@' >> console; echo '@n done@' >> console"""
    assert [o.output for o in machine.run(["true"])] == ["out\n"]


def test_the_third_boot_is_the_last(machine):
    machine.script = "echo x >> boots; echo panic > console"
    with pytest.raises(Failure, match="3 times(?s:.*)panic") as failure:
        list(machine.run(["true"]))
    assert (machine.folder / "boots").read_text() == "x\n" * 3
    assert not failure.value.is_booted


def test_a_guest_that_crashes_in_a_command_is_not_booted_again(machine):
    machine.script = "echo x >> boots; echo '@n begin@' > console; echo so far >> console"
    with pytest.raises(Failure, match="before the command's end(?s:.*)so far") as failure:
        list(machine.run(["true"]))
    assert (machine.folder / "boots").read_text() == "x\n"
    assert failure.value.is_booted


@pytest.mark.parametrize("is_fatal", [True, False])
def test_a_job_that_the_emulator_breaks_is_repeated_with_one_thread(machine, is_fatal, capsys):
    oops = "[  1.2] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
    machine.script = f"""
        command() {{ echo '@n begin@' >> console; echo "$1" >> console; }}
        end() {{ echo '@n end 0@' >> console; echo '@n done@' >> console; }}
        echo "$QEMU" >> boots
        case $QEMU in
        *thread=single*) command third; end;;
        *) command first; end; command second; end; command third
           echo '@n end 1@' >> console; echo '{oops}' >> console; {"" if is_fatal else "echo '@n done@' >> console"};;
        esac"""
    assert [o.output for o in machine.run(["true"] * 3)] == ["first\n", "second\n", "third\n"]
    assert "int3: 0000" in capsys.readouterr().err
    assert len((machine.folder / "boots").read_text().splitlines()) == 2
    # The second boot runs only the third command, with that command's limit.
    assert machine.images == [3, 1]


def test_a_second_crash_is_not_attributed_to_the_emulator(machine):
    machine.script = "echo x >> boots; echo '@n begin@' > console; echo 'int3: 0000 [#1]' >> console"
    with pytest.raises(Failure, match="before the command's end(?s:.*)int3"):
        list(machine.run(["true"]))
    assert (machine.folder / "boots").read_text() == "x\n" * 2


def test_a_qemu_failure_is_reported(machine):
    machine.script = "echo no such machine >&2; exit 1"
    with pytest.raises(Failure, match="no such machine"):
        list(machine.run(["true"]))


def test_qemu_is_stopped_at_the_time_limit(machine):
    machine.script = "echo $$ > pid; exec sleep 1000"
    with pytest.raises(Failure, match="no result after 1 s; the guest has not come") as failure:
        list(machine.run(["true"], limit=1))
    assert failure.value.status == 124
    assert re.search("If .* is damaged, remove it", str(failure.value))
    assert machine.child.returncode == -9


def test_a_guest_says_at_the_time_limit_what_it_waits_for(machine):
    machine.script = "echo '@n begin@'; echo out; read line; echo 7 cat: pipe_read"
    with pytest.raises(Failure, match="no result after 1 s(?s:.*)out(?s:.*)7 cat: pipe_read") as failure:
        list(machine.run(["true"], limit=1))
    assert failure.value.status == 124


def test_a_guest_that_cannot_say_it_is_stopped(machine, monkeypatch):
    monkeypatch.setattr(vm, "EXPLAIN", 0.1)
    machine.script = "echo '@n begin@'; exec sleep 1000"
    with pytest.raises(Failure, match="no result after 1 s; the console's"):
        list(machine.run(["true"], limit=1))
    assert machine.child.returncode == -9


def test_time_without_a_processor_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setattr(vm.time, "monotonic", lambda: 100)
    clock = vm.Clock(os.getpid())
    clock.threads = tmp_path
    for thread, waited in {"1": 2_000_000_000, "2": 5_000_000_000}.items():
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(f"7 {waited} 3\n")
    assert clock.now() == 95
    (tmp_path / "2/schedstat").unlink()
    assert clock.now() == 95


def test_no_file_and_no_qemu_is_left(machine):
    machine.script = "exec sleep 1000"
    run = machine.run(["true"])
    with pytest.raises(Failure):
        machine.run(["true"], limit=1).__next__()
    run.close()
    machine.__exit__()
    assert machine.child.returncode is not None
    assert not machine.folder.exists()


def test_files_put_through_a_link_are_at_its_target(tmp_path):
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/a/file").write_text("x")
    (tmp_path / "tree/link").symlink_to("../../../a")
    image = Image()
    image.put(tmp_path / "tree", "/t")
    image.put(tmp_path / "tree/a/file", "/bin/tool")
    image.put(tmp_path / "tree/a/file", "/t/link/inside")
    assert "/usr/bin/tool" in image
    # Paths cannot point outside the guest's root.
    assert "/a/inside" in image
    assert image.links["t/link"] == "../../../a"


def test_a_nonexistent_file_is_reported(tmp_path):
    with pytest.raises(Missing, match="no such file"):
        Image().put(tmp_path / "none", "/t")
    with pytest.raises(Missing, match="not an absolute path"):
        Image().put(tmp_path, "t")


def test_cpio_entries_are_aligned():
    data = entry(1, "name", b"12345", 0o100644)
    assert data.startswith(b"070701" + b"00000001" + b"000081A4")
    assert len(data) % 4 == 0
    assert data.endswith(b"12345\0\0\0")


def test_the_libraries_of_a_program_are_added():
    image = Image()
    image.put("/bin/ls", "/ls")
    image.add_libraries()
    arch = architecture("/bin/ls")
    kinds = {kind: name for kind, name, _ in needed("/bin/ls")}
    assert kinds["interpreter"] in image
    assert f"/usr/lib/{arch.multiarch}/libc.so.6" in image


def test_a_file_beside_a_program_is_not_its_library(tmp_path):
    shutil.copy("/bin/ls", tmp_path / "ls")
    # A test's folder may contain a library for another program.
    shutil.copy("/bin/ls", tmp_path / "libc.so.6")
    image = Image()
    image.put(tmp_path / "ls", "/ls")
    image.add_libraries()
    arch = architecture("/bin/ls")
    assert image.entries[f"usr/lib/{arch.multiarch}/libc.so.6"] != tmp_path / "libc.so.6"


def test_a_script_has_no_architecture(tmp_path):
    (tmp_path / "script").write_text("#!/bin/sh\necho twenty bytes and more\n")
    assert architecture(tmp_path / "script") is None
