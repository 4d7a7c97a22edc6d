"""Jobs in guests: one boot is shared by all the jobs of a kernel, and each ends on its own."""

from dataclasses import dataclass

from testing.build import BuildError
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
        self.waiting, self.outcomes, self.running = {}, {}, {}
        for job in jobs:
            self.waiting.setdefault(job.kernel, []).append(job)

    def outcome(self, job):
        """What a job left. If it or its guest did not come to an end, that is raised."""
        while job not in self.outcomes:
            self._advance(job.kernel)
        if isinstance(outcome := self.outcomes[job], Exception):
            raise outcome
        return outcome

    def _advance(self, kernel):
        if kernel not in self.running:
            self._boot(kernel)
            return
        _, jobs, results = self.running[kernel]
        job = jobs.pop(0)
        try:
            self.outcomes[job] = next(results)
            if jobs:
                return
        except (Failure, Missing, Unavailable) as error:
            self.outcomes[job] = error
            # The jobs behind one that takes its guest down are run in another; but none
            # would come further if the guest did not boot.
            if not getattr(error, "is_booted", False):
                self.outcomes.update(dict.fromkeys(jobs, error))
        self._end(kernel)

    def _boot(self, kernel):
        machine = Machine(kernel)
        machine.__enter__()
        jobs = []
        for job in [job for job in self.waiting[kernel] if job not in self.outcomes]:
            try:
                job.prepare(machine, self.waiting[kernel])
                jobs.append(job)
            except (BuildError, Missing, Unavailable) as error:
                self.outcomes[job] = error
        if not jobs:
            machine.__exit__()
            return
        say(f"booting the kernel of {kernel} for {len(jobs)} job{'s'[:len(jobs) > 1]}")
        results = machine.run([job.command for job in jobs], [job.limit for job in jobs])
        self.running[kernel] = machine, jobs, results

    def _end(self, kernel):
        machine, _, results = self.running.pop(kernel)
        results.close()
        machine.__exit__()

    def end(self):
        for kernel in list(self.running):
            self._end(kernel)
