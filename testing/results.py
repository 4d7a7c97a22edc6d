"""Parses the TAP 13 output of the C test programs."""

import re
from dataclasses import dataclass, field


@dataclass
class Point:
    """The outcome of one test: `passed`, `failed` or `skipped`, and the reason unless the test passed."""

    outcome: str
    name: str
    reason: str = ""

    def __str__(self):
        return f"{self.outcome} {self.name}" + (f": {self.reason}" if self.reason else "")


@dataclass
class Results:
    points: list[Point] = field(default_factory=list)

    def add(self, outcome, name, reason=""):
        self.points.append(Point(outcome, name, reason.strip()))

    def of(self, outcome):
        return [point for point in self.points if point.outcome == outcome]


def tap(output, status):
    """Parses the output of a program that prints TAP 13. Each of these is a failure: other output, an unexpected
    number of results, and an exit status that no result explains."""
    results, noise, planned = Results(), [], None
    for line in output.splitlines():
        if m := re.fullmatch(r"(ok|not ok) (\d+)(?: - (.*?))?(?: # SKIP ?(.*))?", line):
            if int(m[2]) != len(results.points) + 1:
                noise.append(line)
            outcome = "failed" if m[1] == "not ok" else "passed" if m[4] is None else "skipped"
            results.add(outcome, m[3] or m[2], m[4] or "")
        elif m := re.fullmatch(r"1\.\.(\d+)", line):
            planned = int(m[1])
        elif line.startswith("# ") and results.points and results.points[-1].outcome == "failed":
            point = results.points[-1]
            point.reason = f"{point.reason}; {line[2:]}".removeprefix("; ")
        elif line != "TAP version 13" and not line.startswith("#"):
            noise.append(line)
    said = len(results.points)
    if noise:
        results.add("failed", "is_quiet", "it printed what is no result:\n  | " + "\n  | ".join(noise))
    if planned != said or not said:
        results.add("failed", "runs", f"{said} results, planned: {planned}")
    if status and not results.of("failed"):
        results.add("failed", "ends_well", f"exit status {status}")
    return results
