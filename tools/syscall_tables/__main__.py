r"""Make src/calls/tables/*.tbl: which kernel function serves which system call.

    python3 -m tools.syscall_tables [--check] [--fetch] TREE...

A TREE is an unpacked kernel source or a tar file of one: Debian's or Ubuntu's
linux-source-* packages, or kernel.org's. To make the tables one tree of each
version in VERSIONS is needed, in any order, and the output depends on nothing
else. Then each is checked against each version.

--sources names the versions and where each is to be had; --fetch brings those that
Debian has, into the cache of the tests.
--check writes nothing. It checks the tables of the repository against the trees
that it is given, of whatever versions; one is enough (testing/test_tables.py).
--numbers takes one TREE, of 6.11 or later, and writes src/calls/numbers/*.tbl: what
number each call has, which for calls that went stays in the kernel's tables.
--annotate takes no TREE. It writes the spellings and versions anew into the tables
as they are; without it the same is done to tables that are made.
`make tables TREES="TREE..."` does it with --fetch.

A line of a table is

    NAME                        served by sys_NAME
    NAME ENTRY [ENTRY...]       served by the first of these that the kernel has
    NAME ... | ENTRY [ENTRY...] as above; for 32-bit callers of a 64-bit kernel,
                                served by the first of these; in the table of
                                x86_64 for x32 processes
    NAME -                      never served here, though a function sys_NAME
                                can exist: a probe on it would never fire
    NAME =CALL                  another spelling of CALL: what other architectures'
                                tables or a man page call it (SAME, SPELLINGS)

An ENTRY is the function's name without the architecture's prefix. '-' after
the bar: never served to 32-bit callers of a 64-bit kernel. A '?' behind the
NAME: the kernel may be built without the call, and then one of its ENTRYs can
be another name of a function that all such calls share (kernel/sys_ni.c). '@6.5'
behind that: the call exists since that version (SINCE_VERSION). An ENTRY with
'@5.1' serves the call since that version, and one with '@<5.4' served it before:
other versions have the function as well, and another one serves (LIMITS, LATER).
'@5.10.221,6.1.97,6.10' is of a mistake in the kernel's table: since those stable
updates, and since 6.10.

The kernel's own table is half of the truth: a probe finds whatever function
exists. So the sources are also scanned for the functions that they define, and
each line is checked against each version: the first ENTRY that exists in a
version must be the one that serves the call in that version. On a 32-bit kernel
the ENTRYs behind the bar are tried before the others, and must not mislead.
"""

import argparse
import concurrent.futures
import sys
from pathlib import Path

from testing import packages
from testing.targets import SUITES
from tools.syscall_tables.exceptions import SECOND, VERSIONS
from tools.syscall_tables.model import annotated, check, make, number
from tools.syscall_tables.readers import ARCHES, tbl_numbers
from tools.syscall_tables.sources import Tree

FOLDER = Path(__file__).parents[2] / "src/calls/tables"
NUMBERS = FOLDER.with_name("numbers")
# Which suites of Debian have a source package: of the last two only until there is a newer.
DEBIAN = {suite.linux: name for name, suite in SUITES.items()} | {VERSIONS[-2]: "sid", VERSIONS[-1]: "experimental"}


def fetch(version):
    """The source of a version that Debian has."""
    package = f"linux-source-{version}"
    return packages.unpack(DEBIAN[version], "amd64", package, only="usr/src") / f"usr/src/{package}.tar.xz"


def tables():
    """The text of each table of the repository."""
    return {name: (FOLDER / f"{name}.tbl").read_text() for name in ARCHES}


def write(tables):
    """Writes them with the spellings and versions in them."""
    for name, text in annotated(tables).items():
        (FOLDER / f"{name}.tbl").write_text(text)


def numbers(tree):
    """The text of each table of numbers, of a version that has .tbl files alone."""
    for name, (_, [(_, path, abis, *_), *_], *_) in ARCHES.items():
        found = tbl_numbers(tree, path, abis)
        found.update((second, found[first]) for table, first, second in SECOND if table == name)
        head = f"# {name}: Linux {tree.version}; {path}; made by tools/syscall_tables --numbers\n"
        yield name, head + "".join(f"{call} {found[call]}\n" for call in sorted(found))


def write_numbers(tree):
    for name, text in numbers(tree):
        (NUMBERS / f"{name}.tbl").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", action="store_true", help="name the versions that are needed")
    parser.add_argument("--fetch", action="store_true", help="bring those that Debian has")
    parser.add_argument("--check", action="store_true", help="check, don't write")
    parser.add_argument("--numbers", action="store_true", help="the calls' numbers alone")
    parser.add_argument("--annotate", action="store_true", help="spellings and versions alone")
    parser.add_argument("tree", nargs="*", metavar="TREE")
    arguments = parser.parse_args()
    if arguments.sources:
        for version in VERSIONS:
            print(f"Linux {version}: " + (f"linux-source-{version} of Debian {DEBIAN[version]}" if version in DEBIAN
                                          else f"linux-{version}.tar.xz of kernel.org"))
        return False
    if bool(arguments.tree or arguments.fetch) == arguments.annotate:
        parser.error("TREEs are needed, or --fetch, or --annotate")
    if arguments.annotate:
        write(tables())
        return False
    if arguments.numbers:
        write_numbers(Tree(arguments.tree[0]))
        return False
    arguments.tree += [str(fetch(version)) for version in VERSIONS if arguments.fetch and version in DEBIAN]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        trees = {tree.version: tree for tree in pool.map(Tree, arguments.tree)}
    if not arguments.check:
        if missing := [version for version in VERSIONS if version not in trees]:
            sys.exit(f"sources missing: {' '.join(missing)}; --sources says where they are")
        write({name: make(name, {version: trees[version] for version in VERSIONS}) for name in ARCHES})
        write_numbers(trees[VERSIONS[-1]])
    failed = False
    for name, text in tables().items():
        for version in sorted(trees, key=number):
            calls, problems = check(name, text, trees[version])
            if calls or problems:
                print(f"{'not ok' if problems else 'ok'} {name}: the {calls} calls of Linux {version}")
            print(*("    " + problem for problem in problems), sep="\n", end="\n" * bool(problems))
            failed |= bool(problems)
    return failed


if __name__ == "__main__":
    sys.exit(main())
