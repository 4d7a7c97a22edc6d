import pytest

from testing import guests
from testing.guests import Guests, Job
from testing.targets import NEWEST_STABLE
from testing.vm import Failure


class FakeMachine:
    """A machine that interprets commands without booting a guest."""

    boots, running = [], 0

    def __init__(self, kernel, arch, append):
        self.kernel = kernel

    def __enter__(self):
        FakeMachine.running += 1
        return self

    def __exit__(self, *error):
        FakeMachine.running -= 1

    def write_image(self, commands):
        pass

    def stop(self):
        pass

    def run(self, commands, limits):
        FakeMachine.boots.append((self.kernel, *commands))
        for command in commands:
            if command == "down":
                raise Failure("it went down", is_booted=True)
            if command == "no boot":
                raise Failure("it did not boot")
            yield command


class Unbuilt(Job):
    def prepare(self, machine, jobs):
        raise AssertionError("cc failed")


class Program(Job):
    def command_for(self, tests):
        return " ".join([self.command, *tests])


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(guests, "Machine", FakeMachine)
    FakeMachine.boots.clear()


def outcomes(*jobs, tests=()):
    guests = Guests(dict.fromkeys(jobs, tests))
    guests.start()
    for job in jobs:
        try:
            yield guests.outcome(job)
        except (AssertionError, Failure) as error:
            yield str(error)
    guests.end()
    assert not FakeMachine.running


def test_the_jobs_of_a_guest_share_a_boot():
    jobs = (Job("1", "sid", "a"), Job("2", "sid", "b"), Job("3", "trixie", "c"), Job("4", "sid", "d", apart="x"))
    assert list(outcomes(*jobs)) == ["a", "b", "c", "d"]
    assert sorted(FakeMachine.boots) == [("sid", "a", "b"), ("sid", "d"), ("trixie", "c")]


def test_jobs_after_a_crash_run_in_a_new_guest():
    assert list(outcomes(Job("1", "sid", "a"), Job("2", "sid", "down"), Job("3", "sid", "c"))) == [
        "a", "it went down", "c"]
    assert FakeMachine.boots == [("sid", "a", "down", "c"), ("sid", "c")]


def test_nothing_is_repeated_if_the_guest_does_not_boot():
    assert list(outcomes(Job("1", "sid", "no boot"), Job("2", "sid", "b"))) == ["it did not boot"] * 2
    assert len(FakeMachine.boots) == 1


def test_a_build_failure_does_not_affect_other_jobs():
    assert list(outcomes(Unbuilt("1", "sid", "a"), Job("2", "sid", "b"))) == ["cc failed", "b"]
    assert FakeMachine.boots == [("sid", "b")]


def test_only_selected_tests_run():
    assert list(outcomes(Program("1", "sid", "program"), tests=["one", "two"])) == ["program one two"]


def test_long_jobs_are_divided_between_guests():
    jobs = [Job(str(seconds), "sid", "", seconds=seconds) for seconds in (10, 250, 20, 200, 100)]
    assert [[job.seconds for job in share] for share in guests.divided(jobs)] == [[10, 250, 20], [200, 100]]


def test_make_test_boots_one_kernel():
    assert Job("1", NEWEST_STABLE, "a").is_short
    assert not any(job.is_short for job in (
        Job("1", "bullseye", "a"), Job("1", NEWEST_STABLE, "a", is_long=True),
        Job("1", NEWEST_STABLE, "a", append="x"), Job("1", NEWEST_STABLE, "a", apart="x")))
