"""The sum of times: it fits, or two sentences say by how much it does not and what to change."""

from __future__ import annotations

import re

import pytest

from sentinel.local.plan import CONFIG, shipped_times_ms
from sentinel.time_budget import SHORTEST_DOWN_AFTER_S, RequestDeadline, TimeBudget, is_too_hasty
from verifier.settings import RedisSettings
from verifier.wiring import deadline_of

DEADLINE = RequestDeadline(10, "VERIFIER_REQUEST_DEADLINE")


def test_what_is_shipped_fits_with_room() -> None:
    """The start scripts' values and the default deadline, with two seconds to spare."""
    down_after_ms, _ = shipped_times_ms()
    delay = re.search(r"REDIS_SYNC_DELAY:=(\d+)", (CONFIG / "start-redis.sh").read_text())
    assert delay is not None
    budget = TimeBudget(down_after_ms / 1000, float(delay[1]))
    deadline = deadline_of(RedisSettings())
    assert budget.overdraft(deadline) is None
    assert budget.outage_s + 2 <= deadline.seconds
    assert not is_too_hasty(budget.down_after_s)


@pytest.mark.parametrize(("down_after_s", "fits"), [(7.9, True), (8.0, False), (30.0, False)])
def test_the_sum_must_be_shorter_than_the_deadline(down_after_s: float, fits: bool) -> None:
    """As long as the deadline is too long: the request would give up at that very moment."""
    assert (TimeBudget(down_after_s).overdraft(DEADLINE) is None) is fits


def test_both_numbers_and_the_settings_are_named() -> None:
    """What it costs, of what it is made, how long requests wait, and what to write where."""
    overdraft = TimeBudget(9.0).overdraft(DEADLINE)
    assert overdraft is not None
    message, remedy = overdraft
    assert "about 11 s (down-after-milliseconds 9000" in message
    assert "10 s only (VERIFIER_REQUEST_DEADLINE)" in message
    assert remedy == (
        "Set down-after-milliseconds 4000 on every sentinel (SENTINEL SET), or set VERIFIER_REQUEST_DEADLINE to more than 11."
    )


@pytest.mark.parametrize(
    ("budget", "deadline_s", "wanted"),
    [
        (TimeBudget(4.0, 5.0), 10, "Set repl-diskless-sync-delay 0 on every node, or set"),
        (TimeBudget(9.0, 5.0), 10, "4000 on every sentinel (SENTINEL SET), set repl-diskless-sync-delay 0 on every node"),
        (TimeBudget(4.0), 5.5, "Set down-after-milliseconds 3300 on every sentinel"),
        (TimeBudget(4.0), 5, "Set VERIFIER_REQUEST_DEADLINE to more than 6."),
    ],
)  # fmt: skip
def test_the_remedy_would_help(budget: TimeBudget, deadline_s: float, wanted: str) -> None:
    """The delay of copies first; never a down-after after which no failover would come any more."""
    overdraft = budget.overdraft(RequestDeadline(deadline_s, "VERIFIER_REQUEST_DEADLINE"))
    assert overdraft is not None
    assert wanted in overdraft[1]
    for milliseconds in re.findall(r"down-after-milliseconds (\d+)", overdraft[1]):
        assert int(milliseconds) / 1000 > SHORTEST_DOWN_AFTER_S
        assert TimeBudget(int(milliseconds) / 1000).outage_s < deadline_s
