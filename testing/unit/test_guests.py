import pytest

from testing import guests
from testing.guests import Guests, Job
from testing.vm import Failure


class FakeMachine:
    """Runs a command by doing what it says."""

    boots, running = [], 0

    def __init__(self, kernel):
        pass

    def __enter__(self):
        FakeMachine.running += 1
        return self

    def __exit__(self, *error):
        FakeMachine.running -= 1

    def run(self, commands, limit):
        FakeMachine.boots.append(list(commands))
        for command in commands:
            if command == "down":
                raise Failure("it went down", is_booted=True)
            if command == "no boot":
                raise Failure("it did not boot")
            yield command


class Unbuilt(Job):
    def prepare(self, machine, jobs):
        raise AssertionError("cc failed")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(guests, "Machine", FakeMachine)
    FakeMachine.boots.clear()


def outcomes(*jobs):
    guests = Guests(jobs)
    for job in jobs:
        try:
            yield guests.outcome(job)
        except (AssertionError, Failure) as error:
            yield str(error)
    assert not FakeMachine.running


def test_the_jobs_of_a_kernel_share_a_boot():
    assert list(outcomes(Job("1", "sid", "a"), Job("2", "sid", "b"), Job("3", "trixie", "c"))) == ["a", "b", "c"]
    assert FakeMachine.boots == [["a", "b"], ["c"]]


def test_those_behind_one_that_takes_the_guest_down_run_in_another():
    assert list(outcomes(Job("1", "sid", "a"), Job("2", "sid", "down"), Job("3", "sid", "c"))) == [
        "a", "it went down", "c"]
    assert FakeMachine.boots == [["a", "down", "c"], ["c"]]


def test_none_is_tried_again_where_the_guest_does_not_boot():
    assert list(outcomes(Job("1", "sid", "no boot"), Job("2", "sid", "b"))) == ["it did not boot"] * 2
    assert len(FakeMachine.boots) == 1


def test_what_cannot_be_built_stops_no_other():
    assert list(outcomes(Unbuilt("1", "sid", "a"), Job("2", "sid", "b"))) == ["cc failed", "b"]
    assert FakeMachine.boots == [["b"]]
