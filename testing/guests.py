"""Runs jobs in guests.

The jobs in a guest share one boot, and each job's outcome is available when that job ends. Two guests run
at a time, while the tests that require no kernel run on this machine. If the jobs for one kernel take a long time,
they are divided among several guests.
"""

import itertools
import math
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from testing.initramfs import Missing
from testing.packages import Unavailable, say
from testing.targets import NEWEST_STABLE
from testing.vm import Machine

AT_A_TIME = 2
# The maximum time that a guest should run, in seconds on an idle machine.
LONGEST = 300


@dataclass(frozen=True, eq=False)
class Job:
    """A command that runs in a guest with a suite's kernel. `limit` is a timeout in seconds. The limit is far
    longer than the command takes on a busy machine, so only a command that hangs reaches the limit."""

    name: str
    kernel: str
    command: str
    limit: int = field(default=900, kw_only=True)
    arch: str = field(default="amd64", kw_only=True)
    # Kernel parameters.
    append: str = field(default="", kw_only=True)
    # Jobs with different values of `apart` run in different guests.
    apart: str = field(default="", kw_only=True)
    # Estimated duration on an idle machine.
    seconds: int = field(default=4, kw_only=True)
    # Whether only `make test-all` runs the job.
    is_long: bool = field(default=False, kw_only=True)

    def prepare(self, machine, jobs):
        """Builds the command's files and puts them into the machine. `jobs` lists all jobs that run in the machine."""

    def command_for(self, tests):
        """Returns the command that runs these tests and prints a result for each."""
        return self.command

    @property
    def guest(self):
        return self.kernel, self.arch, self.append, self.apart

    @property
    def is_short(self):
        """Whether `make test` runs the job. `make test` boots one kernel."""
        return self.guest == (NEWEST_STABLE, "amd64", "", "") and not self.is_long

    def __str__(self):
        return f"{self.kernel}-{self.name}"


def divided(jobs):
    """Divides jobs among guests that run for similar times, at most about LONGEST seconds each. The jobs keep
    their order, so that jobs that use the same files tend to share a guest."""
    total, taken, shares = sum(job.seconds for job in jobs), 0, [[]]
    count = math.ceil(total / LONGEST)
    for job in jobs:
        if shares[-1] and taken + job.seconds / 2 >= total * len(shares) / count:
            shares.append([])
        shares[-1].append(job)
        taken += job.seconds
    return shares


class Guests:
    """Runs jobs. A guest boots when its files are ready, and the files for the other guests are built meanwhile. All
    builds end before the tests that need no kernel start, so no test rebuilds files that a build reads."""

    def __init__(self, tests):
        # Each job's command runs only the tests that pytest selected.
        self.commands = {job: job.command_for(names) for job, names in tests.items()}
        self.outcomes, self.machines, self.stack = {job: Future() for job in tests}, [], ExitStack()
        self.pool = ThreadPoolExecutor(AT_A_TIME)

    def start(self):
        guests, running = {}, []
        for job in self.outcomes:
            guests.setdefault(job.guest, []).append(job)
        for jobs in itertools.chain.from_iterable(map(divided, guests.values())):
            first = jobs[0]
            machine = self.stack.enter_context(Machine(first.kernel, first.arch, append=first.append))
            self.machines.append(machine)
            ready = [job for job in jobs if self.is_prepared(job, machine, jobs)]
            if not ready:
                continue
            try:
                machine.write_image([self.commands[job] for job in ready])
                running.append(ready)
                self.pool.submit(self.run, machine, ready)
            except (Missing, Unavailable) as error:
                for job in ready:
                    self.outcomes[job].set_exception(error)
        if running:
            say(f"guests: {len(running)}, jobs: {sum(map(len, running))}; the tests that need no kernel run meanwhile")

    def is_prepared(self, job, machine, jobs):
        try:
            job.prepare(machine, jobs)
            return True
        except Exception as error:
            self.outcomes[job].set_exception(error)
            return False

    def run(self, machine, jobs):
        jobs = list(jobs)
        while jobs:
            results = machine.run([self.commands[job] for job in jobs], [job.limit for job in jobs])
            try:
                while jobs:
                    self.outcomes[jobs[0]].set_result(next(results))
                    del jobs[0]
            except Exception as error:
                # If a job crashes its guest, the remaining jobs run in a new guest. If the guest did not boot, all
                # remaining jobs fail.
                count = 1 if getattr(error, "is_booted", False) else len(jobs)
                for job in jobs[:count]:
                    self.outcomes[job].set_exception(error)
                jobs = jobs[count:]

    def outcome(self, job):
        """Waits for a job and returns its outcome; raises if the job or its guest failed."""
        return self.outcomes[job].result()

    def end(self):
        self.pool.shutdown(wait=False, cancel_futures=True)
        for machine in self.machines:
            machine.stop()
        self.pool.shutdown()
        self.stack.close()
