"""Limits: how they are written, how many they let through, and what that means for a code."""

from __future__ import annotations

import random

import pytest

from tests.support.limits import limit_names, limits_of
from verifier.domain.errors import LimitReached
from verifier.domain.limits import DAY_S, NO_LIMITS, WORST_CHANCE_A_DAY, Limit, Limits, Rate, parse_limit
from verifier.domain.rules import Rules


class Model:
    """The same rate, counted in the plainest way: with a time of its own for each wait."""

    def __init__(self, limit: Limit) -> None:
        self._whole_at = [(rate, 0.0) for rate in limit.rates]

    def takes(self, now: float) -> bool:
        """Return whether one more is let through."""
        moved = [(rate, max(now, at) + rate.step_s) for rate, at in self._whole_at]
        if any(at - now > rate.window_s + rate.step_s / 2 for rate, at in moved):
            return False
        self._whole_at = moved
        return True


@pytest.mark.parametrize("text", ["1/1s", "5/10m", "20/1h, 50/1d", "3/90m", "1/7d", "off"])
def test_a_limit_is_written_as_it_is_read(text: str) -> None:
    """Logs and the settings' defaults show it so."""
    assert str(parse_limit(text)) == text


@pytest.mark.parametrize("text", ["5/10m", "3/1m, 10/1h", "7/1h", "100/1h, 200/1d"])
def test_no_more_than_was_computed_gets_through_in_any_span(text: str) -> None:
    """By whatever pattern somebody asks; and somebody who asks all the time gets nearly as many."""
    limit, dice = parse_limit(text), random.Random(text)
    for pause_s in (0.1, 7.0, 100.0):
        model, now, let_through = Model(limit), 1000.0, []
        while now < 1000 + 3 * 3600:
            now += dice.expovariate(1 / pause_s)
            if model.takes(now):
                let_through.append(now)
        for span_s in (60.0, 600.0, 3600.0):
            most = max(sum(first <= at <= first + span_s for at in let_through) for first in let_through[:40])
            assert most <= limit.most_within(span_s)
    model = Model(limit)
    eager = sum(model.takes(second / 2) for second in range(2 * 3600))
    assert limit.most_within(3600) - 1 <= eager <= limit.most_within(3600)


def test_as_many_at_once_as_the_limit_says() -> None:
    """Then one more after each step."""
    model = Model(parse_limit("5/10m"))
    assert [model.takes(0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not model.takes(50)
    assert [model.takes(121), model.takes(122)] == [True, False]


def test_the_shipped_limits_let_nobody_guess_a_code() -> None:
    """Below 1 in 1,000 a day, with room, and while the secret keys are rotated."""
    limits = Limits()
    assert limits.wrong_codes_per_address.most_within(DAY_S) == 400
    assert limits.guesses_a_day() == 800
    assert limits.guess_chance_a_day(Rules()) == 0.0008 < WORST_CHANCE_A_DAY
    assert NO_LIMITS.guess_chance_a_day(Rules()) == 1
    assert limits_of("off").guess_chance_a_day(Rules()) == 1


def test_no_shipped_share_uses_up_more_than_half() -> None:
    """One network, or one key, leaves the other half to others."""
    assert list(Limits().without_room()) == []


@pytest.mark.parametrize(
    ("total", "share", "leaves_half"),
    [
        ("10/1m", "5/1m", True),
        ("10/1m", "6/1m", False),
        ("10/1m", "5/1s", False),
        ("10/1m", "5/1m, 99/1d", True),
        ("10/1m, 20/1d", "5/1m", False),
        ("10/1m, 20/1d", "5/1m, 10/1d", True),
        ("off", "off", True),
        ("10/1m", "off", False),
    ],
)
def test_a_share_leaves_half_at_each_rate(total: str, share: str, *, leaves_half: bool) -> None:
    """Both what is there at once and what comes again."""
    assert parse_limit(total).leaves_half_to_others(parse_limit(share)) is leaves_half


@pytest.mark.parametrize("name", limit_names())
def test_each_limit_has_a_sentence(name: str) -> None:
    """It says when to try again, in words and in seconds."""
    error = LimitReached(name, 119.2)
    assert str(error).endswith(" Try again in 2 minutes.")
    assert (error.status, error.retry_after_s, error.members) == (429, 120, {"limit": name})


def test_waits_are_never_nothing() -> None:
    """Somebody who comes back in the same second would only be refused again."""
    assert LimitReached("mails", 0.0).retry_after_s == 1


def test_a_rate_says_how_long_one_takes() -> None:
    """Seconds."""
    assert Rate(5, 600).step_s == 120
