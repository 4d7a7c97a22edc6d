"""Compares libbpf's answers with libksyscall's answers.

Each difference must be listed in differences.toml, and each row and answer in that file must occur.
libbpf 0.3 lacks the function, so for this version expected.toml lists libksyscall's answers.

    python3 -m testing.differential

writes the table in docs/compatibility.md.
"""

import re
import tomllib
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from testing import pages
from testing.results import Results

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/compatibility.md"
HEAD = ["Id", "Situation", "libbpf", "libksyscall", "Why"]


class Difference:
    """A row of the table, with the answers that have occurred so far."""

    def __init__(self, row):
        self.id, self.situation, self.why, self.cases = row["id"], row["situation"], row["why"], row["cases"]
        self.sides = {side: row[side] for side in ("libbpf", "libksyscall")}
        self.count, self.seen = 0, set()

    def row(self):
        texts = [side.get("text", "{}").format(*(f"`{answer}`" for answer in side["answers"]))
                 for side in self.sides.values()]
        return [f"`{self.id}`", self.situation, *texts, self.why]

    def is_about(self, case):
        return any(re.search(pattern, case) for pattern in self.cases)

    def explains(self, theirs, ours):
        """Returns whether the row lists this difference. If only one library attached, only the first two parts of
        each answer are compared: whether the library returned a link, and how many times the program
        ran."""
        their, our = theirs.split(", "), ours.split(", ")
        is_same_kind = their[0] == our[0]
        if not is_same_kind:
            their, our = their[:2], our[:2]
        used = set()
        for pair in zip_longest(their, our):
            if pair[0] != pair[1]:
                used |= {(side, part) for side, part in zip(self.sides, pair, strict=True) if part}
        if not all(answer in self.sides[side]["answers"] for side, answer in used):
            return False
        # The answers `link, runs 0` and `link, runs 1` differ, but both report a link.
        if is_same_kind:
            used |= {(side, their[0]) for side in self.sides if their[0] in self.sides[side]["answers"]}
        self.seen |= used
        self.count += 1
        return True

    def unseen(self):
        return [f"{side} never answered {answer}" for side, row in self.sides.items()
                for answer in row["answers"] if (side, answer) not in self.seen]


def differences():
    return [Difference(row) for row in tomllib.loads((HERE / "differences.toml").read_text())["difference"]]


def expectations():
    return tomllib.loads((HERE / "expected.toml").read_text())["expected"]


class Tally:
    """Counts the answers to each group of questions. Wrong answers of the same kind count as one result."""

    def __init__(self):
        self.asked, self.told, self.wrong = Counter(), Counter(), {}

    def complain(self, case, what):
        self.wrong.setdefault(f"{case.partition('/')[0]}: {what}", []).append(case)

    def results(self, how):
        results = Results()
        for group, count in self.asked.items():
            results.add("passed", f"{group}: asked {count}, {self.told[group]} {how}")
        for kind, cases in self.wrong.items():
            results.add("failed", kind, f"{len(cases)} cases: {' '.join(cases[:3])}")
        return results


def answers(text):
    """Returns the library that answered, and a list of (case, answer) pairs."""
    lines = [line.partition("\t")[::2] for line in text.splitlines()]
    return lines[0][1] if lines else "nothing", lines[1:]


def compare(theirs, ours, table, files=("libbpf.so.1", "libksyscall.so.1")):
    """Compares two libraries' answers to the same questions. `files` names the files that must contain the answering
    functions."""
    (their_file, their_lines), (our_file, our_lines) = answers(theirs), answers(ours)
    tally = Tally()
    for (case, their), (our_case, our) in zip_longest(their_lines, our_lines, fillvalue=("nothing", "")):
        if case != our_case:
            tally.complain(case, f"libbpf was asked {case}, libksyscall {our_case}")
            break
        group = case.partition("/")[0]
        tally.asked[group] += 1
        if their == our:
            continue
        if any(row.is_about(case) and row.explains(their, our) for row in table):
            tally.told[group] += 1
        else:
            tally.complain(case, f"libbpf {their}; libksyscall {our}")
    results = tally.results("differ as the table says")
    good = their_file.endswith(f"/{files[0]}") and our_file.endswith(f"/{files[1]}")
    results.add("passed" if good else "failed", "each_library_answers", f"{their_file} and {our_file}")
    return results


def judge(ours, expected):
    """Compares this library's answers with the expected answers. This comparison is for versions of libbpf that
    lack the function."""
    file, lines = answers(ours)
    rows = [(re.compile(pattern), answer) for pattern, answer in expected]
    tally, used = Tally(), set()
    for case, answer in lines:
        group = case.partition("/")[0]
        tally.asked[group] += 1
        number = next((n for n, (pattern, _) in enumerate(rows) if pattern.search(case)), None)
        used.add(number)
        if number is None:
            tally.complain(case, f"nothing is expected, it answers {answer}")
        elif rows[number][1] != answer:
            tally.complain(case, f"expected {rows[number][1]}; it answers {answer}")
        else:
            tally.told[group] += 1
    results = tally.results("answered as expected")
    for number in set(range(len(rows))) - used:
        results.add("failed", "expected", f"no case is like {rows[number][0].pattern}")
    results.add("passed" if file.endswith("/libksyscall.so.1") else "failed", "this_library_answers", file)
    return results


def report(table):
    """Returns the results for the page."""
    return {"differences": pages.table(HEAD, [row.row() for row in table])}


if __name__ == "__main__":
    pages.write(PAGE, report(differences()))
