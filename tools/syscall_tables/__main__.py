r"""Generates src/calls/tables/*.tbl, which list the kernel functions that serve each system call.

    python3 -m tools.syscall_tables [--check] [--fetch] TREE...

A TREE is an unpacked kernel source tree, or a tar file that contains one: a
linux-source-* package from Debian or Ubuntu, or a release from kernel.org.
Generating the tables requires one tree for each version in VERSIONS, in any order.
The output depends on nothing else. Each table is then checked against each version.

--sources lists the versions and where to get them. For each version that Debian
packages, --fetch downloads the source to the tests' cache and uses it as a TREE.
--check writes nothing. It checks the tables of the repository against one or more
trees of any version (testing/test_tables.py).
--numbers requires one TREE of version 6.11 or later, and writes src/calls/numbers/*.tbl,
which contain the number of each call. The kernel's tables keep the numbers of calls
that were removed.
--annotate takes no TREE. It updates the spellings and versions in the existing
tables. Generating the tables also updates the spellings and versions.
`make tables TREES="TREE..."` runs this module with --fetch.

A line of a table is one of

    NAME                        served by sys_NAME
    NAME ENTRY [ENTRY...]       served by the first ENTRY that the kernel has
    NAME ... | ENTRY [ENTRY...] as above; for 32-bit callers on a 64-bit kernel (in
                                the table for x86_64: for x32 processes), served by
                                the first ENTRY after the bar that the kernel has
    NAME -                      never served here, though a function sys_NAME
                                can exist: a probe on it would never fire
    NAME =CALL                  another spelling of CALL: its name in the tables of
                                other architectures or in a man page (SAME,
                                SPELLINGS)

An ENTRY is the function's name without the architecture's prefix. '-' after the
bar means that the call is never served to 32-bit callers on a 64-bit kernel. '?'
after NAME means that the kernel may be built without the call; one of its ENTRYs
may then be an alias of a function that all such calls share (kernel/sys_ni.c).
'@6.5' after NAME or '?' means that the call exists since that version
(SINCE_VERSION). An ENTRY with '@5.1' serves the call since that version, and an ENTRY
with '@<5.4' served it only before that version. Other versions also define the
function, but do not use it for the call (LIMITS, LATER). '@5.10.221,6.1.97,6.10' marks a
mistake in the kernel's table that these stable updates and 6.10 corrected.

The kernel's own table is not sufficient, because a probe on any existing function
succeeds, even if the function does not serve the call. The sources are therefore also
scanned for the functions that they define. Each line is checked against each version: the
first ENTRY that exists in a version must be the one that serves the call in that version.
On a 32-bit kernel the library tries the ENTRYs after the bar first, so each of these
ENTRYs that the kernel defines must serve the call.
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
# Maps versions to the Debian suites that contain their source packages. The suites of the last two versions keep
# the package only until a newer version replaces it.
DEBIAN = {suite.linux: name for name, suite in SUITES.items()} | {VERSIONS[-2]: "sid", VERSIONS[-1]: "experimental"}


def fetch(version):
    """Fetches the source of a version that Debian packages; returns the path of the tar file."""
    package = f"linux-source-{version}"
    return packages.unpack(DEBIAN[version], "amd64", package, only="usr/src") / f"usr/src/{package}.tar.xz"


def tables():
    """Returns the text of each table in the repository."""
    return {name: (FOLDER / f"{name}.tbl").read_text() for name in ARCHES}


def write(tables):
    """Writes the tables, with spellings and versions added."""
    for name, text in annotated(tables).items():
        (FOLDER / f"{name}.tbl").write_text(text)


def write_numbers(tree):
    """Writes the tables of numbers. All tables of the version must be .tbl files."""
    for name, (_, [(_, path, abis, *_), *_], *_) in ARCHES.items():
        found = tbl_numbers(tree, path, abis)
        found.update((second, found[first]) for table, first, second in SECOND if table == name)
        head = f"# {name}: Linux {tree.version}; {path}; made by tools/syscall_tables --numbers\n"
        (NUMBERS / f"{name}.tbl").write_text(head + "".join(f"{call} {found[call]}\n" for call in sorted(found)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", action="store_true", help="list the versions that are required")
    parser.add_argument("--fetch", action="store_true", help="download the versions that Debian has")
    parser.add_argument("--check", action="store_true", help="check, don't write")
    parser.add_argument("--numbers", action="store_true", help="only the calls' numbers")
    parser.add_argument("--annotate", action="store_true", help="only spellings and versions")
    parser.add_argument("tree", nargs="*", metavar="TREE")
    arguments = parser.parse_args()
    if arguments.sources:
        for version in VERSIONS:
            print(f"Linux {version}: " + (f"linux-source-{version} of Debian {DEBIAN[version]}" if version in DEBIAN
                                          else f"linux-{version}.tar.xz of kernel.org"))
        return False
    if bool(arguments.tree or arguments.fetch) == arguments.annotate:
        parser.error("TREE, --fetch or --annotate is required, and --annotate takes no TREE")
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
            sys.exit(f"sources missing: {' '.join(missing)}; --sources lists where to get them")
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
