"""Jobs in guests: one boot is shared by all the jobs of a kernel, and each ends on its own."""

from dataclasses import dataclass

from testing.initramfs import Missing
from testing.packages import Unavailable, say
from testing.vm import Failure, Machine


@dataclass(frozen=True, eq=False)
class Job:
    """A command in a guest with a suite's kernel. `limit` is in seconds."""

    name: str
    kernel: str
    command: str
    limit: int = 300

    def prepare(self, machine, jobs):
        """Builds what the command needs and puts it into the machine, which runs `jobs`."""

    def __str__(self):
        return f"{self.kernel}-{self.name}"


class Guests:
    """Runs jobs, as their outcomes are asked for."""

    def __init__(self, jobs):
        self.waiting, self.running, self.outcomes = {}, {}, {}
        for job in jobs:
            self.waiting.setdefault(job.kernel, []).append(job)

    def outcome(self, job):
        """What a job left. If it or its guest did not come to an end, that is raised."""
        while job not in self.outcomes:
            running = self.running.setdefault(job.kernel, outcomes(self.waiting[job.kernel]))
            done, self.outcomes[done] = next(running)
            self.waiting[job.kernel].remove(done)
            if not self.waiting[job.kernel]:
                running.close()
        if isinstance(outcome := self.outcomes[job], Exception):
            raise outcome
        return outcome

    def end(self):
        for running in self.running.values():
            running.close()


def outcomes(jobs):
    """(job, what it left or why it did not run) of all the jobs of a kernel."""
    jobs = all_jobs = tuple(jobs)
    while jobs:
        with Machine(jobs[0].kernel) as machine:
            ready = []
            for job in jobs:
                try:
                    job.prepare(machine, all_jobs)
                    ready.append(job)
                except Exception as error:
                    yield job, error
            if not (jobs := ready):
                return
            say(f"booting the kernel of {jobs[0].kernel} for {len(jobs)} job{'s'[:len(jobs) > 1]}")
            results = machine.run([job.command for job in jobs], [job.limit for job in jobs])
            try:
                while jobs:
                    outcome = next(results)
                    yield jobs.pop(0), outcome
            except (Failure, Missing, Unavailable) as error:
                # The jobs behind one that takes its guest down are run in another; but none
                # would come further if the guest did not boot.
                count = 1 if getattr(error, "is_booted", False) else len(jobs)
                for job in jobs[:count]:
                    yield job, error
                jobs = jobs[count:]
