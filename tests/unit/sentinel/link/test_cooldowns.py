"""Endpoints that failed are left alone, and tried again by one caller at a time."""

from __future__ import annotations

import pytest

from sentinel.backoff import PROBE_S, Cooldowns
from sentinel.endpoints import Endpoint

HERE, THERE = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


class Clock:
    """A clock in the hands of the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cooldowns(clock: Clock) -> Cooldowns:
    return Cooldowns(first_s=0.2, cap_s=1.6, clock=clock)


def test_endpoint_that_never_failed_is_tried_by_everybody(cooldowns: Cooldowns) -> None:
    """Nobody is held back where nothing went wrong."""
    assert [cooldowns.remaining_s(HERE) for _ in range(3)] == [0, 0, 0]


def test_failed_endpoint_is_left_alone(cooldowns: Cooldowns) -> None:
    """After a failure there is a rest, for this endpoint only, and its reason is known."""
    cooldowns.failed(HERE, "It hung up.")
    assert 0 < cooldowns.remaining_s(HERE) <= 0.2
    assert cooldowns.reason(HERE) == "It hung up."
    assert cooldowns.remaining_s(THERE) == 0


def test_one_caller_tries_after_the_rest(cooldowns: Cooldowns, clock: Clock) -> None:
    """The first to come after the rest is let through; the others wait for what becomes of it."""
    cooldowns.failed(HERE, "gone")
    clock.now += 0.2
    assert [cooldowns.remaining_s(HERE) for _ in range(3)] == [0, PROBE_S, PROBE_S]


def test_success_of_the_one_lets_everybody_through(cooldowns: Cooldowns, clock: Clock) -> None:
    """Once it worked nobody is held back any more."""
    cooldowns.failed(HERE, "gone")
    clock.now += 0.2
    assert cooldowns.remaining_s(HERE) == 0
    cooldowns.worked(HERE)
    assert [cooldowns.remaining_s(HERE) for _ in range(3)] == [0, 0, 0]
    assert cooldowns.reason(HERE) == ""


def test_failure_of_the_one_begins_a_longer_rest(cooldowns: Cooldowns, clock: Clock) -> None:
    """Each failure doubles the rest, up to a limit."""
    longest = []
    for _ in range(6):
        cooldowns.failed(HERE, "gone")
        longest.append(cooldowns.remaining_s(HERE))
        clock.now += 2.0
        assert cooldowns.remaining_s(HERE) == 0
    assert all(rest <= limit for rest, limit in zip(longest, [0.2, 0.4, 0.8, 1.6, 1.6, 1.6], strict=True))
    assert longest[-1] >= 0.8


def test_one_that_never_says_how_it_went_holds_nobody_back_for_long(
    cooldowns: Cooldowns, clock: Clock
) -> None:
    """After its time the next one is let through."""
    cooldowns.failed(HERE, "gone")
    clock.now += 0.2
    assert cooldowns.remaining_s(HERE) == 0
    clock.now += PROBE_S
    assert cooldowns.remaining_s(HERE) == 0
