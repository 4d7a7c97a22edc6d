"""Tests docs/first-hour.md: builds each section's files with the section's commands, and compares the programs' output
on a real kernel with the output on the page."""

import os
import re
import shutil
from dataclasses import dataclass, field

import pytest

from testing import build
from testing.build import BUILD, ROOT, run
from testing.guests import Job

PAGE = (ROOT / "docs/first-hour.md").read_text()
OUT = BUILD / "first-hour"
# bpftool is in /usr/sbin.
PATH = f"{os.environ['PATH']}:/usr/sbin"


@dataclass
class Section:
    title: str
    files: dict[str, str] = field(default_factory=dict)
    commands: str = ""
    # Command lines and their output.
    shown: list[tuple[str, str]] = field(default_factory=list)


def sections():
    """Maps each title to its section. A section may use the files from earlier sections."""
    found = {}
    for text in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        section = Section(text.partition("\n")[0])
        for name, body in re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", text, re.M | re.S):
            section.files[name] = body
        [section.commands] = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
        [console] = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
        for line in console.splitlines(keepends=True):
            if line.startswith("$ "):
                section.shown.append((line[2:].rstrip("\n"), ""))
            else:
                command, output = section.shown[-1]
                section.shown[-1] = (command, output + line)
        found[section.title] = section
    return found


SECTIONS = sections()
OLD = "C, with an old libbpf"
# Files that a section uses but does not contain. They come from another section or from examples/.
SEEN = {name: SECTIONS["C, with a skeleton"].files[name] for name in ("seen.bpf.c", "seen.c")}
EXAMPLES = {name: (ROOT / "examples" / name).read_text() for name in ("count.bpf.c", "count.c")}
GIVEN = {
    "C, with a skeleton": {},
    "Preload an existing tool": SEEN,
    OLD: {"count.c": EXAMPLES["count.c"]},
    "C, with a static libbpf": EXAMPLES,
    "Rust, with aya": {"count.bpf.c": EXAMPLES["count.bpf.c"],
                       "src/main.rs": (ROOT / "examples/count.rs").read_text()},
    "Rust, with libbpf-rs": {"count.bpf.c": EXAMPLES["count.bpf.c"]},
}

# The libraries that each section's program must be linked to. The test checks them to detect a program that uses the
# wrong library.
LINKED_TO = {
    "C, with a skeleton": {"libksyscall.so.1", "libbpf.so.1"},
    "Preload an existing tool": {"libbpf.so.1"},
    OLD: {"libksyscall.so.1", "libbpf.so.0"},
    "C, with a static libbpf": set(),
    "Rust, with aya": set(),
    "Rust, with libbpf-rs": {"libbpf.so.1"},
}


def old_libbpf():
    """Returns the folder of Debian 11's libbpf, and an environment in which compilers find no newer libbpf."""
    usr = build.libbpf("bullseye")[0] / "usr"
    library = next(usr.glob("lib/*/libbpf.so")).parent
    # LIBRARY_PATH comes after the system's folders, so wrap `cc` to search this folder first.
    cc = OUT / "old/cc"
    cc.parent.mkdir(parents=True, exist_ok=True)
    cc.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} -L{library} "$@"\n')
    cc.chmod(0o755)
    return library, {"C_INCLUDE_PATH": str(usr / "include"), "PATH": f"{cc.parent}:{PATH}"}


def built(section):
    """Writes a section's files to a folder, runs its commands there and returns the folder."""
    folder = OUT / re.sub(r"\W+", "-", section.title)
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in {**GIVEN[section.title], **section.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    env = {**build.installed()[1], "PATH": PATH}
    if section.title == OLD:
        env |= old_libbpf()[1]
    if "cargo" in section.commands:
        # Use this tree's crate instead of the registry's.
        (OUT / ".cargo").mkdir(exist_ok=True)
        (OUT / ".cargo/config.toml").write_text(f'[patch.crates-io]\nksyscall = {{ path = "{ROOT}" }}\n')
        env["CARGO_TARGET_DIR"] = str(OUT / "target")
    run("sh", "-ec", section.commands, cwd=folder, env=env)
    return folder


def program_of(section):
    """Returns the path of the program that the section runs."""
    return section.shown[0][0].split()[0].removeprefix("./")


def linked_to(program):
    """Returns the sonames of whichever of libksyscall and libbpf a program is linked to."""
    return set(re.findall(r"\(NEEDED\).*\[(lib(?:ksyscall|bpf).*)\]", run("readelf", "-dW", program)))


@dataclass(frozen=True, eq=False)
class Hour(Job):
    title: str = ""

    def prepare(self, machine, jobs):
        section = SECTIONS[self.title]
        folder = built(section)
        for name in folder.glob("*.bpf.o"):
            machine.put(name, f"/{self.name}/{name.name}")
        name = program_of(section)
        # Both programs that cargo builds share one target folder.
        program = (OUT if name.startswith("target/") else folder) / name
        if (found := linked_to(program)) != LINKED_TO[self.title]:
            raise build.BuildError(f"{name} is linked to {sorted(found)}, not to {sorted(LINKED_TO[self.title])}")
        machine.put(program, f"/{self.name}/{name}")
        machine.put(build.library() / "libksyscall.so.1", "/usr/lib/libksyscall.so.1")
        machine.folders.append(build.installed()[0] / "opt/lib")
        if self.title == OLD:
            machine.folders.append(old_libbpf()[0])


def jobs():
    for number, (title, section) in enumerate(SECTIONS.items()):
        lines = [f"echo '= {index}'; {command}" for index, (command, _) in enumerate(section.shown)]
        yield Hour(f"hour-{number}", "bullseye" if title == OLD else "trixie",
                   "\n".join([f"cd /hour-{number} || exit", *lines]), title=title,
                   # Cargo compiles all dependencies.
                   is_long="cargo" in section.commands)


@pytest.mark.parametrize("job", jobs(), ids=lambda job: f"{job}: {job.title}")
def test_first_hour(job, guest):
    outcome = guest(job)
    printed = dict(re.findall(r"^= (\d+)\n(.*?)(?=^= |\Z)", outcome.output.replace("\r", ""), re.M | re.S))
    for index, (command, output) in enumerate(SECTIONS[job.title].shown):
        assert printed.get(str(index)) == output, f"{command}\n{outcome.output}{outcome.trouble}"
    assert outcome.status == 0


def test_the_page_has_the_versions_that_are_tested():
    benches, own = (ROOT / "benches/rust/Cargo.toml").read_text(), (ROOT / "Cargo.toml").read_text()
    for name in ("libbpf-rs", "aya"):
        [line] = set(re.findall(rf"^{name} = .*$", PAGE, re.M))
        assert line in benches + own


def test_the_page_lists_the_required_packages():
    wanted = re.search(r"apt-get install (.*)", PAGE)[1].split()
    assert set(wanted) - {"make"} <= set(re.findall(r"[\w-]+", (ROOT / "scripts/setup").read_text()))
