"""Applies each mutant of mutants.toml to a copy of the tree and checks that its test fails.

    python3 -m testing.mutants              applies all mutants
    python3 -m testing.mutants WORDS...     only the mutants whose line in the output contains one of the words
    python3 -m testing.mutants --no-vm      only the mutants whose test needs no kernel
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing import build, results
from testing.guests import Guests, Job
from testing.targets import LIBBPFS

LIST = Path(__file__).parent / "mutants.toml"
# Tests in a guest use this suite's kernel and libbpf.
KERNEL = "trixie"
# Build quickly: performance does not matter here. Without LTO, objcopy could not create libksyscall.a.
QUICK = {"CARGO_PROFILE_CAPI_LTO": "thin", "CARGO_PROFILE_CAPI_OPT_LEVEL": "1",
         "CARGO_PROFILE_CAPI_CODEGEN_UNITS": "16", "CARGO_PROFILE_DEV_DEBUG": "0", "RUST_BACKTRACE": "0"}
CARGO = {"unit": ["--lib", "--features", "capi"], "cli": ["-p", "ksyscall-cli"],
         "tables": ["--lib", "--features", "all-tables"]}
IN_A_GUEST = "vm", "bpf", "rust"


@dataclass(frozen=True)
class Mutant:
    breaks: str
    file: str
    before: str
    after: str
    test: str

    def __str__(self):
        return f"{self.file}: {self.breaks} [{self.test}]"

    @property
    def kind(self):
        return self.test.partition(" ")[0]

    @property
    def words(self):
        return self.test.split()[1:]


NOTHING = Mutant("nothing", "", "", "", "")


def mutants():
    return [Mutant(**row) for row in tomllib.loads(LIST.read_text())["mutant"]]


class Copy:
    """A copy of the tree in which only one file is changed at a time."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, **QUICK, "CARGO_TARGET_DIR": str(build.BUILD / "mutants/target"),
                            "PYTHONPATH": str(folder)}
        build.copy_sources(folder)
        (folder / "build").mkdir(exist_ok=True)

    @contextmanager
    def changed(self, mutant):
        if not mutant.file:
            yield
            return
        path = self.folder / mutant.file
        text = path.read_text()
        if text.count(mutant.before) != 1:
            raise SystemExit(f"{mutant}: `before` stands there {text.count(mutant.before)} times")
        path.write_text(text.replace(mutant.before, mutant.after))
        try:
            yield
        finally:
            path.write_text(text)

    def run(self, *command):
        return subprocess.run(list(map(str, command)), cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def passes(self, test):
        """Runs a test that requires no kernel; returns whether the test passes, and the reason if the test could not
        run."""
        kind, _, words = test.partition(" ")
        if kind == "python":
            file, *options = words.split(maxsplit=2)
            options = [option.strip("'\"") for option in options]
            done = self.run(sys.executable, "-m", "pytest", "-q", "-x", f"testing/{file}", *options)
            # Status 1 means that tests failed; a higher status means that they could not run.
            return done.returncode == 0, done.stdout if done.returncode > 1 else ""
        command = ["cargo", "test", "--locked", "--quiet", *CARGO[kind]]
        if (built := self.run(*command, "--no-run")).returncode:
            return False, built.stdout
        done = self.run(*command, "--", *words.split())
        counted = sum(map(int, re.findall(r"^running (\d+) test", done.stdout, re.M)))
        return done.returncode == 0, "" if counted else f"no test is called {words}"

    def build(self, mutant, out):
        """Builds the library, or the program with the mutant's test, and copies it to a separate folder. Returns the
        build's output if the build fails."""
        command = ["make", "-s", "build/libksyscall.so"]
        if mutant.kind != "vm":
            program = mutant.words[0]
            path = ("build.rust_test('kernel')" if mutant.kind == "rust" else
                    f"build.c_tests({KERNEL!r}, ({program!r},)) / {KERNEL!r} / {program!r}")
            command = [sys.executable, "-c", f"from testing import build; print({path})"]
        if (built := self.run(*command)).returncode:
            return built.stdout
        out.mkdir(parents=True)
        if mutant.kind == "vm":
            shutil.copy(self.folder / "build/libksyscall.so.1", out)
        else:
            shutil.copy(built.stdout.split()[-1], out / "program")
        return ""


@dataclass(frozen=True, eq=False)
class Attempt(Job):
    """A test that runs in the guest, with or without a mutant."""

    mutant: Mutant = NOTHING
    folder: Path = Path()

    def prepare(self, machine, jobs):
        kind = self.mutant.kind
        place = f"/m/{self.folder.name}"
        machine.put(self.folder, place)
        if kind == "rust":
            machine.put(build.bpf("tests/kernel.bpf.c", build.BUILD / "tests/kernel.bpf.o"), "/rust/kernel.bpf.o")
            machine.put(build.i386("tests/kernel/compat.c", build.BUILD / "tests/compat"), "/rust/compat")
            return
        programs = {job.mutant.words[0] for job in jobs if job.mutant.kind == "vm"}
        tree = build.c_tests(KERNEL, tuple(sorted(programs)))
        for libbpf in LIBBPFS[KERNEL]:
            machine.put(build.c_tests(libbpf, ()) / libbpf / "lib", f"/t/{libbpf}/lib")
        machine.put(build.library() / "libksyscall.so.1", "/t/libksyscall.so.1")
        if kind == "vm":
            machine.put(tree / KERNEL / self.mutant.words[0], f"/t/{KERNEL}/{self.mutant.words[0]}")


def attempt(mutant, folder):
    place, kind, words = f"/m/{folder.name}", mutant.kind, mutant.words
    if kind == "rust":
        command = (f"cd /rust && KSYSCALL_TEST_OBJECT=kernel.bpf.o exec {place}/program --ignored --test-threads=1"
                   f" --exact {' '.join(words)}")
    elif kind == "vm":
        command = f"LD_PRELOAD={place}/libksyscall.so.1 exec /t/{KERNEL}/{words[0]} {' '.join(words[1:])}"
    else:
        command = f"exec {place}/program {' '.join(words[1:])}"
    return Attempt(folder.name, KERNEL, command, mutant, folder, limit=300)


def has_passed(job, outcome):
    if isinstance(outcome, Exception):
        return False
    if job.mutant.kind == "rust":
        return outcome.status == 0 and bool(re.search(r"^test result: ok\. [1-9]", outcome.output, re.M))
    found = results.tap(outcome.output, outcome.status)
    return bool(found.of("passed")) and not found.of("failed")


def outcomes(jobs):
    """Runs jobs in one guest; yields (job, outcome). The outcome of a job that did not complete is an exception."""
    guests = Guests({job: [] for job in jobs})
    try:
        guests.start()
        for job in jobs:
            try:
                yield job, guests.outcome(job)
            except Exception as error:
                yield job, error
    finally:
        guests.end()


def say(verdict, mutant, why=""):
    print(f"{verdict:9} {mutant}", flush=True)
    if why:
        print("    " + why.strip()[-600:].replace("\n", "\n    "), flush=True)


def without_a_kernel(copy, wanted):
    """Runs the tests that need no kernel; yields (mutant, verdict, why)."""
    good = {}
    for mutant in wanted:
        # Check once that each test passes without a mutant.
        if mutant.test not in good:
            passes, why = copy.passes(mutant.test)
            good[mutant.test] = passes and not why
            if not good[mutant.test]:
                say("BROKEN", Mutant("the test fails without a mutant", "", "", "", mutant.test), why)
    for mutant in wanted:
        if not good[mutant.test]:
            yield mutant, "BROKEN", ""
            continue
        with copy.changed(mutant):
            passes, why = copy.passes(mutant.test)
        yield mutant, "BROKEN" if why else "UNCAUGHT" if passes else "caught", why


def in_a_guest(copy, wanted, work):
    jobs, plain = [], {mutant.test: Mutant("no mutant", "", "", "", mutant.test) for mutant in wanted}
    for number, mutant in enumerate([*plain.values(), *wanted]):
        folder = work / f"{number}"
        with copy.changed(mutant):
            why = copy.build(mutant, folder)
        if why:
            yield mutant, "BROKEN", why
        else:
            jobs.append(attempt(mutant, folder))
    good = {}
    for job, outcome in outcomes(jobs):
        mutant, passes = job.mutant, has_passed(job, outcome)
        if not mutant.file:
            good[mutant.test] = passes
            if not passes:
                say("BROKEN", mutant, str(getattr(outcome, "output", outcome)))
        else:
            yield mutant, "BROKEN" if not good[mutant.test] else "UNCAUGHT" if passes else "caught", ""


def main():
    parser = argparse.ArgumentParser(prog="testing.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--no-vm", action="store_true", help="only those that need no kernel")
    parser.add_argument("words", nargs="*", help="only those whose line contains one of the words")
    arguments = parser.parse_args()
    wanted = [mutant for mutant in mutants()
              if not arguments.words or any(word in str(mutant) for word in arguments.words)]
    in_guest = [mutant for mutant in wanted if mutant.kind in IN_A_GUEST and not arguments.no_vm]
    start, verdicts = time.monotonic(), Counter()
    (build.BUILD / "mutants").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="copy-", dir=build.BUILD / "mutants") as folder:
        copy = Copy(Path(folder, "tree"))
        outside = [mutant for mutant in wanted if mutant.kind not in IN_A_GUEST]
        for found in (without_a_kernel(copy, outside), in_a_guest(copy, in_guest, Path(folder, "built"))):
            for mutant, verdict, why in found:
                verdicts[verdict] += 1
                say(verdict, mutant, why)
    print(f"{verdicts['caught']} of {sum(verdicts.values())} mutants were caught, in "
          f"{(time.monotonic() - start) / 60:.0f} minutes")
    return 0 if set(verdicts) <= {"caught"} else 1


if __name__ == "__main__":
    sys.exit(main())
