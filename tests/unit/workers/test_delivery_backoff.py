"""Backoff that knows the code's life."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.delivery_backoff import LONGEST_GAP_S, gap_s, has_life, next_try


def middle() -> float:
    return 0.5  # no jitter


def tries_at(life_s: float, took_s: float = 0.0) -> list[float]:
    """When the retries of a mail queued at 0 start, each try failing after `took_s`."""
    due: float | None = 0.0
    starts: list[float] = []
    while due is not None:
        starts.append(due)
        due = next_try(len(starts), due + took_s, 0.0, life_s, jitter=middle, least_life_s=60)
    return starts[1:]


def test_a_ten_minute_code_is_retried_six_times() -> None:
    """About 5, 20, 50, 110, 230 s after the first try, and once more while it makes sense."""
    assert tries_at(600) == [5, 20, 50, 110, 230, 470]


def test_a_short_code_is_given_up_early() -> None:
    """Two minutes of life leave three retries."""
    assert tries_at(120) == [5, 20, 50]


def test_a_code_without_enough_life_is_not_retried_at_all() -> None:
    """Under 60 s nothing is worth mailing."""
    assert tries_at(60) == []


def test_a_long_code_is_retried_every_four_minutes_at_most() -> None:
    """The gap stops growing."""
    starts = tries_at(3600)
    assert {b - a for a, b in pairwise(starts[5:])} == {LONGEST_GAP_S}


def test_tries_that_take_long_are_not_followed_at_once() -> None:
    """A relay that hangs for 40 s at each try still gets a pause of half a gap."""
    starts = tries_at(600, took_s=40)
    assert starts == [42.5, 90, 145, 215, 315, 475]


def test_the_least_life_can_be_set() -> None:
    """A service whose people are quick may mail later."""
    assert next_try(6, 230, 0, 480, jitter=middle, least_life_s=60) is None
    assert next_try(6, 230, 0, 480, jitter=middle, least_life_s=10) == 470


def test_the_first_try_is_not_asked_for() -> None:
    """It is due at once."""
    with pytest.raises(ValueError, match="first one needs no backoff"):
        next_try(0, 0, 0, 600, least_life_s=60)


def test_life_is_counted_at_the_moment_the_mail_leaves() -> None:
    """Exactly the least life is enough."""
    assert has_life(540, 600, 60)
    assert not has_life(540.1, 600, 60)
    assert has_life(590, 600, least_life_s=10)


NUMBERS = st.floats(min_value=0, max_value=1e9)


@given(
    tries=st.integers(1, 500),
    queued=NUMBERS,
    late=st.floats(0, 1e5),
    life=st.floats(0, 1e5),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_retry_is_never_in_the_past_and_never_for_a_dying_code(
    tries: int, queued: float, late: float, life: float, draw: float
) -> None:
    """Whatever the clock, the tries and the jitter."""
    now, expires_at = queued + late, queued + life
    due = next_try(tries, now, queued, expires_at, jitter=lambda: draw, least_life_s=60)
    if due is not None:
        assert due >= now
        assert expires_at - due >= 60


@given(tries=st.integers(1, 500), draw=st.floats(0, 1, exclude_max=True))
def test_jitter_moves_a_retry_by_a_fifth_of_its_gap_at_most(tries: int, draw: float) -> None:
    """Mails deferred together come back spread out, but about on time."""
    plain = next_try(tries, 0, 0, 1e9, jitter=middle, least_life_s=60)
    moved = next_try(tries, 0, 0, 1e9, jitter=lambda: draw, least_life_s=60)
    assert plain is not None
    assert moved is not None
    assert abs(moved - plain) <= 0.2 * gap_s(tries) + 1e-6


@given(tries=st.integers(1, 500))
def test_gaps_grow_and_stay_bounded(tries: int) -> None:
    """No gap is shorter than the one before it."""
    assert 0 < gap_s(tries) <= gap_s(tries + 1) <= LONGEST_GAP_S
