"""Waits between attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.backoff import Backoff


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
