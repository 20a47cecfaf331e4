"""Endpoints that failed are left alone, and tried again by one caller at a time."""

from __future__ import annotations

import re

import pytest

from sentinel.endpoints import Endpoint
from sentinel.errors import TransientError
from sentinel.link.cooldowns import PROBE_S, Cooldowns
from tests.support.clock import Clock

HERE, THERE = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


@pytest.fixture
def clock() -> Clock:
    """The clock of the cooldowns."""
    return Clock()


@pytest.fixture
def cooldowns(clock: Clock) -> Cooldowns:
    """Cooldowns between 0.2 and 1.6 seconds."""
    return Cooldowns(first_s=0.2, cap_s=1.6, clock=clock)


def _remaining_s(cooldowns: Cooldowns, endpoint: Endpoint, reason: str = "gone") -> float:
    """Return for how long a caller is refused; 0 where it is admitted."""
    try:
        cooldowns.admit(endpoint)
    except TransientError as error:
        said = re.fullmatch(rf"{reason} The next attempt is in ([\d.]+) s\.", str(error))
        assert said
        return float(said[1])
    return 0.0


def test_endpoint_that_never_failed_is_tried_by_everybody(cooldowns: Cooldowns) -> None:
    """Nobody is held back where nothing went wrong."""
    assert [_remaining_s(cooldowns, HERE) for _ in range(3)] == [0, 0, 0]


def test_failed_endpoint_is_left_alone(cooldowns: Cooldowns) -> None:
    """After a failure there is a cooldown, for this endpoint only, and its reason is told."""
    cooldowns.failed(HERE, "It hung up.")
    assert 0.1 <= _remaining_s(cooldowns, HERE, "It hung up.") <= 0.2
    assert _remaining_s(cooldowns, THERE) == 0


def test_one_caller_tries_after_the_cooldown(cooldowns: Cooldowns, clock: Clock) -> None:
    """The first to come after it is let through; the others wait for what becomes of it."""
    cooldowns.failed(HERE, "gone")
    clock.now += 0.2
    assert [_remaining_s(cooldowns, HERE) for _ in range(3)] == [0, PROBE_S, PROBE_S]


def test_success_of_the_one_lets_everybody_through(cooldowns: Cooldowns, clock: Clock) -> None:
    """Once it worked nobody is held back any more, and the next failure is a first one again."""
    for _ in range(5):
        cooldowns.failed(HERE, "gone")
    clock.now += 1.6
    assert _remaining_s(cooldowns, HERE) == 0
    cooldowns.worked(HERE)
    assert [_remaining_s(cooldowns, HERE) for _ in range(3)] == [0, 0, 0]
    cooldowns.failed(HERE, "gone")
    assert 0 < _remaining_s(cooldowns, HERE) <= 0.2


def test_success_ends_a_cooldown_at_once(cooldowns: Cooldowns) -> None:
    """As an announcement of a new master does."""
    cooldowns.failed(HERE, "gone")
    cooldowns.worked(HERE)
    assert _remaining_s(cooldowns, HERE) == 0


def test_failure_of_the_one_begins_a_longer_cooldown(cooldowns: Cooldowns, clock: Clock) -> None:
    """Each failure doubles it, up to a limit: an outage costs about one attempt a second."""
    lengths = []
    for _ in range(20):
        cooldowns.failed(HERE, "gone")
        lengths.append(_remaining_s(cooldowns, HERE))
        clock.now += 2.0
        assert _remaining_s(cooldowns, HERE) == 0
    assert all(rest <= limit for rest, limit in zip(lengths, [0.2, 0.4, 0.8, *[1.6] * 17], strict=True))
    assert all(rest >= 0.8 for rest in lengths[3:])


def test_one_that_never_says_how_it_went_holds_nobody_back_for_long(
    cooldowns: Cooldowns, clock: Clock
) -> None:
    """After its time the next one is let through."""
    cooldowns.failed(HERE, "gone")
    clock.now += 0.2
    assert _remaining_s(cooldowns, HERE) == 0
    clock.now += PROBE_S
    assert _remaining_s(cooldowns, HERE) == 0
