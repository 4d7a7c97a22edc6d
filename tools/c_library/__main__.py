"""Generates src/calls/c_library.tbl, which lists the system calls that the C library's functions make.

    python3 -m tools.c_library [--check] [SUITE]

The tool fetches the sources of glibc and musl from a Debian suite (default: trixie), checks each
line in functions.py against them, and writes the table, which names the sources' versions. --check
writes nothing; with another suite, such as sid, it reports what newer versions changed.

A line of the table is

    NAME...: CALLS          the calls that glibc and musl make
    NAME...: CALLS | CALLS  the calls that glibc makes, then the calls that musl makes; '-' means unknown

functions.py describes the syntax of CALLS.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from testing import packages
from tools.c_library.functions import FUNCTIONS
from tools.syscall_tables.model import parse

FOLDER = Path(__file__).parents[2] / "src/calls"
TABLE = FOLDER / "c_library.tbl"
LINUX = "sysdeps/unix/sysv/linux"
# Maps the tables' architecture names to musl's names.
MUSL = {"x86": "i386"} | {name: name for name in (
    "aarch64", "arm", "loongarch64", "mips64", "powerpc", "powerpc64", "riscv64", "s390x", "x86_64")}
ARE_64 = {name for name in MUSL if "64" in name or name == "s390x"}
# glibc's directories for these architectures.
GLIBC = ["aarch64", "arm", "i386", "loongarch", "mips", "powerpc", "riscv", "s390", "wordsize-64", "x86", "x86_64"]
ARE_32 = ["arm", "i386", "powerpc32"]
# Architectures without a table.
OTHERS = ["s390-32"]
# glibc's architecture-specific files that replace a general file but make the same call.
SAME = ["i386/brk.c", "mips/mips64/getdents64.c"]


def served(name):
    """Returns the calls in an architecture's table that a kernel function serves."""
    table = parse((FOLDER / f"tables/{name}.tbl").read_text())
    return {call for call, (functions, *_) in table.items() if functions != ["-"]}


def made(calls, arch, has):
    """Returns the calls that a C function makes on an architecture. `has` contains all calls that the
    architecture supports."""
    for group in calls.split():
        words, _, limit = group.partition("@")
        if limit and arch not in limit.split(",") and not (limit == "64" and arch in ARE_64):
            continue
        if found := [call for call in words.split("+") if call in has]:
            return found
    return []


def words(calls):
    """Returns every call that the groups name."""
    return {call for group in calls.split() for call in group.partition("@")[0].split("+")} - {"-"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


class Evidence:
    """The files that show which calls a function makes, and the calls to ignore in these files."""

    def __init__(self, text):
        items = text.split()
        self.ignored = {item[1:] for item in items if item[0] == "-"} - {""}
        pairs = [item.partition(">")[::2] for item in items if item[0] != "-"]
        self.files = [file for file, function in pairs if not function]
        self.callers = [(file, function) for file, function in pairs if function]
        self.called = {function.lstrip("_") for _, function in self.callers}

    def missing(self, text_of):
        """Reports the functions that a file should call but does not."""
        for file, function in self.callers:
            if not re.search(rf"\b{function}\s*\(" if file[-2:] != "st" else rf"\b{function}\b", text_of(file)):
                yield f"{file} does not call {function}"


class Glibc:
    """glibc's sources, which are read once for all architectures."""

    def __init__(self, folder):
        self.folder = folder
        self.named = {}
        for path in (folder / "sysdeps").rglob("*.[chS]"):
            self.named.setdefault(path.stem, []).append(path)
        self.lists = {}
        for path in (folder / "sysdeps").rglob("syscalls.list"):
            for line in path.read_text().splitlines() if self.is_ours(path) else ():
                if len(fields := line.split()) > 2:
                    self.lists.setdefault(fields[0], []).append((path.parent.name, fields[2]))
        self.list = (self.folder / LINUX / "syscalls.list").read_text() + (
            self.folder / "sysdeps/unix/syscalls.list").read_text()

    def path(self, file):
        return file.lstrip("/") if "/" in file else f"{LINUX}/{file}"

    def text(self, file):
        if file == "syscalls.list":
            return self.list
        if file.startswith("*/"):
            found = [path for path in self.folder.glob(f"{LINUX}/**/{file[2:]}") if self.is_ours(path)]
            return "\n".join(without_comments(path.read_text()) for path in found)
        path = self.folder / self.path(file)
        return without_comments(path.read_text()) if path.exists() else ""

    def is_ours(self, path):
        return not set(path.relative_to(self.folder).parts).isdisjoint(GLIBC)

    def calls(self, file):
        text = self.text(file)
        if file.endswith(".S"):
            return set(re.findall(r"\b(?:__NR_|SYS_ify\s*\(|PSEUDO \(__vfork, |DO_CALL \()(\w+)", text)) - {"SYS_ify"}
        macros = r"\b(?:(?:INLINE|INTERNAL)_(?:SETXID_)?SYSCALL|SYSCALL|SOCKETCALL)(?:_CALL|_CANCEL|_NCS)*\s*\(\s*(\w+)"
        return set(re.findall(macros, text)) - {"name"}

    def has_in_list(self, call):
        """Returns whether the call is in a syscalls.list or has a source file, either for Linux in general or for one
        of our architectures."""
        files = (self.folder / LINUX).rglob(f"{call}.S")
        return (re.search(rf"^\S+\s+\S+\s+{call}\s", self.list, re.M) or any(map(self.is_ours, files))
                or (self.folder / LINUX / f"{call}.c").exists())

    def problems(self, calls, evidence):
        yield from evidence.missing(self.text)
        found = set()
        for file in evidence.files:
            if not (made_here := self.calls(file)):
                yield f"{file} makes no call"
            found |= made_here
        only_64 = all(group.endswith("@64") for group in calls.split())
        for file in [*evidence.files, *(file for file, _ in evidence.callers)]:
            yield from self.overridden(file, only_64)
        found |= {call for call in evidence.called & words(calls) if self.has_in_list(call)}
        expected = words(calls) - {"socketcall"}
        if found - evidence.ignored != expected:
            yield f"calls {' '.join(sorted(found - evidence.ignored))}, not {' '.join(sorted(expected))}"

    def overridden(self, file, only_64):
        """Reports the files and syscalls.list lines that replace a general file on some architecture."""
        name, stem = Path(file).name, Path(file).stem
        for folder, call in self.lists.get(stem, ()):
            if folder not in OTHERS and not (only_64 and folder in ARE_32):
                yield f"a syscalls.list of {folder} has {call} in place of {file}"
        for path in self.named.get(stem, ()) if file[0] != "*" else ():
            if not self.is_ours(path) or any(str(path).endswith(same) for same in SAME):
                continue
            if file.endswith(".h") != (path.suffix == ".h"):
                continue
            # A file that includes the general file extends it rather than replacing it.
            if path.is_file() and not re.search(rf"#\s*include\s+<(sysdeps/)?[\w/.-]*{name}>", path.read_text()):
                yield f"{path.relative_to(self.folder)} takes the place of {file}"


class Musl:
    """musl's sources, preprocessed for each architecture."""

    def __init__(self, folder, work):
        self.folder, self.work = folder, work
        self.has = {arch: served(arch) for arch in MUSL}
        for musl in MUSL.values():
            bits = work / musl / "bits"
            bits.mkdir(parents=True)
            numbers = (folder / f"arch/{musl}/bits/syscall.h.in").read_text()
            names = set(re.findall(r"^#define\s+__NR_(\w+)", numbers, re.M))
            # Each name expands to itself, so that the preprocessor's output still contains the name.
            (bits / "syscall.h").write_text("".join(
                f"#define __NR_{name} __NR_{name}\n#define SYS_{name} SYS_{name}\n" for name in sorted(names)))
            types = subprocess.run(["sed", "-f", "tools/mkalltypes.sed", f"arch/{musl}/bits/alltypes.h.in",
                                    "include/alltypes.h.in"], cwd=folder, capture_output=True, text=True, check=True)
            (bits / "alltypes.h").write_text(types.stdout)
        headers = work / "headers.c"
        names = "syscall", "pthread_impl", "lock", "fork_impl"
        headers.write_text("".join(f'#include "{name}.h"\n' for name in names))
        self.of_headers = {musl: self.calls(headers, musl) for musl in MUSL.values()}

    def text(self, file):
        path = self.folder / "src" / file
        return without_comments(path.read_text()) if path.exists() else ""

    def calls(self, path, musl):
        folders = [f"arch/{musl}", "arch/generic", "src/internal", "src/include", self.work / musl, "include"]
        output = subprocess.run(["cc", "-E", "-P", "-nostdinc", "-undef", "-D__GNUC__=12", "-D_XOPEN_SOURCE=700",
                                 *(f"-I{folder}" for folder in folders), path],
                                cwd=self.folder, capture_output=True, text=True, check=True)
        return set(re.findall(r"\bSYS_(\w+)", output.stdout))

    def problems(self, calls, evidence):
        yield from evidence.missing(self.text)
        for arch, musl in MUSL.items():
            found = set().union(*(self.calls(f"src/{file}", musl) - self.of_headers[musl] for file in evidence.files
                                  if (self.folder / "src" / file).exists()))
            found |= evidence.called & {"clone"}
            expected = set(made(calls, arch, self.has[arch]))
            if "*" in evidence.ignored:
                found &= expected
            limits = [group.partition("@")[2] for group in calls.split()]
            if not expected and all(limits):
                continue
            if found - evidence.ignored - expected or expected - found:
                yield (f"{arch}: calls {' '.join(sorted(found - evidence.ignored))},"
                       f" not {' '.join(sorted(expected)) or 'nothing'}")


def lines():
    for line in FUNCTIONS.strip().splitlines():
        names, *rest = (cell.strip() for cell in line.split(" | "))
        yield names.split(), *rest


def table(versions):
    rows = {}
    for names, glibc, _, musl, _ in lines():
        rows.setdefault(glibc if glibc == musl else f"{glibc} | {musl}", []).extend(names)
    return (f"# What functions of the C library call, {', '.join(versions)}, made by tools/c_library\n"
            + "".join(f"{' '.join(names)}: {calls}\n" for calls, names in rows.items()))


def version(changelog):
    return re.search(r"\((.*?)\)", changelog)[1]


def sources(suite, work):
    """Returns {name and version: source} for glibc and musl in a Debian suite."""
    package = packages.unpack(suite, "amd64", "glibc-source") / "usr/src/glibc"
    with tarfile.open(next(package.glob("glibc-*.tar.xz"))) as tar:
        tar.extractall(work)
    glibc = Glibc(next(work.glob("glibc-*")))
    folder = packages.unpack(suite, "source", "musl")
    musl = Musl(folder, work)
    return {f"glibc {version((package / 'debian/changelog').read_text())}": glibc,
            f"musl {version((folder / 'debian/changelog').read_text())}": musl}


def problems(found):
    """Reports where the sources of glibc and musl contradict a line in functions.py."""
    return [f"{name}: {' '.join(names)}: {problem}"
            for names, *cells in lines()
            for (name, source), (calls, files) in zip(found.items(), (cells[:2], cells[2:]), strict=True)
            if calls != "-" for problem in source.problems(calls, Evidence(files))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="check, don't write")
    parser.add_argument("suite", nargs="?", default="trixie", help="Debian's suite (trixie)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = sources(arguments.suite, Path(work))
        wrong = problems(found)
    print(*wrong, *found, sep="\n")
    if not wrong and not arguments.check:
        TABLE.write_text(table(found))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
