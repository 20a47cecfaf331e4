"""Waits between attempts, and endpoints that are left alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.backoff import PROBE_S, Backoff, Cooldowns
from sentinel.endpoints import Endpoint

NODE, OTHER = Endpoint("a", 1), Endpoint("b", 1)


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_waits_double_up_to_the_cap() -> None:
    """With the greatest draw they are the ceilings themselves."""
    backoff = Backoff(0.1, 1.0, draw=lambda: 1.0)
    assert [round(backoff.next_s(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_success_starts_again() -> None:
    """From the first wait."""
    backoff = Backoff(0.1, 1.0, draw=lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)


@given(draws=st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_wait_is_never_less_than_half_its_ceiling(draws: list[float]) -> None:
    """So jitter spreads callers out but lets none come at once."""
    rest = iter(draws)
    backoff = Backoff(0.1, 5.0, draw=lambda: next(rest))
    for number in range(len(draws)):
        ceiling = min(5.0, 0.1 * 2**number)
        assert ceiling / 2 <= backoff.next_s() <= ceiling


def test_many_who_lost_the_same_master_spread_out() -> None:
    """The default draw differs from one to the next."""
    waits = {Backoff(1.0, 1.0).next_s() for _ in range(100)}
    assert len(waits) > 90
    assert max(waits) - min(waits) > 0.3


def test_a_thousand_failures_overflow_nothing() -> None:
    """The wait stays at the cap."""
    backoff = Backoff(0.1, 5.0, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(2000)][-1] == 5.0


def test_what_never_failed_may_be_tried() -> None:
    """By everybody."""
    rests = Cooldowns(clock=Clock())
    assert [rests.remaining_s(NODE) for _ in range(3)] == [0, 0, 0]


def test_what_failed_is_left_alone() -> None:
    """For a while, with the reason at hand; others are not concerned."""
    clock = Clock()
    rests = Cooldowns(first_s=0.2, clock=clock)
    rests.failed(NODE, "it is away.")
    assert 0.1 <= rests.remaining_s(NODE) <= 0.2
    assert rests.reason(NODE) == "it is away."
    assert rests.remaining_s(OTHER) == 0
    assert rests.reason(OTHER) == ""


def test_after_its_rest_one_caller_tries_at_a_time() -> None:
    """The others wait for its outcome, or until it has had its time."""
    clock = Clock()
    rests = Cooldowns(clock=clock)
    rests.failed(NODE, "away")
    clock.now += 10
    assert rests.remaining_s(NODE) == 0
    assert rests.remaining_s(NODE) == pytest.approx(PROBE_S)
    clock.now += PROBE_S
    assert rests.remaining_s(NODE) == 0


def test_rests_grow_with_failures_and_are_bounded() -> None:
    """An outage costs about one attempt a second."""
    clock = Clock()
    rests = Cooldowns(first_s=0.2, cap_s=1.6, clock=clock)
    lengths = []
    for _ in range(20):
        rests.failed(NODE, "away")
        lengths.append(rests.remaining_s(NODE))
        clock.now += 10
    assert all(0.8 <= each <= 1.6 for each in lengths[4:])
    assert all(later > earlier / 2 for earlier, later in pairwise(lengths))


def test_a_success_ends_the_rest_at_once() -> None:
    """And the next failure is a first one again."""
    clock = Clock()
    rests = Cooldowns(first_s=0.2, clock=clock)
    for _ in range(5):
        rests.failed(NODE, "away")
    rests.worked(NODE)
    assert rests.remaining_s(NODE) == 0
    assert rests.reason(NODE) == ""
    rests.failed(NODE, "away")
    assert rests.remaining_s(NODE) <= 0.2
