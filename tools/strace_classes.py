"""Generates cli/src/count/classes.txt, which lists the system calls in each class of strace(1).

    python3 -m tools.strace_classes [TREE]

TREE is an unpacked source package of strace (default: Debian's). A call is in a class if strace lists the call in that
class on any architecture.
"""

import argparse
import re
from pathlib import Path

from testing import packages

ROOT = Path(__file__).parents[1]
FILE = ROOT / "cli/src/count/classes.txt"
SUITE = "bookworm"
# The pattern does not match %%stat and other classes with two percent signs, which are unions of classes.
CLASS = re.compile(r'\{ (TRACE_\w+),\s*"%(\w+)" \}')
FLAG = re.compile(r"# define (\w+)\s+(TRACE_\w+)")
CALL = re.compile(r'\{\s*\w+,\s*([\w|]+),\s*SEN\(\w+\),\s*"(\w+)"')


def classes(tree):
    """Returns {class: its calls}, limited to the calls in src/calls/numbers."""
    known = {line.split()[0] for path in (ROOT / "src/calls/numbers").iterdir() for line in path.open()}
    source = Path(tree) / "src"
    flags = dict(FLAG.findall((source / "sysent_shorthand_defs.h").read_text()))
    calls = {}
    # strace also lists the sub-calls of socketcall and ipc, which have the same names as direct calls.
    for path in source.glob("linux/*/*callent*.h"):
        for words, name in CALL.findall(path.read_text()):
            for flag in words.split("|"):
                calls.setdefault(flags.get(flag), set()).add(name)
    named = CLASS.findall((source / "basic_filters.c").read_text())
    return {name: sorted(calls[flag] & known) for flag, name in named}


def text(tree):
    version = re.search(r"\((.*?)-", (Path(tree) / "debian/changelog").read_text())[1]
    lines = [f"%{name} {' '.join(calls)}\n" for name, calls in sorted(classes(tree).items())]
    return f"# Of strace {version}; made by tools/strace_classes.py\n" + "".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", nargs="?", metavar="TREE")
    arguments = parser.parse_args()
    FILE.write_text(text(arguments.tree or packages.unpack(SUITE, "source", "strace")))


if __name__ == "__main__":
    main()
