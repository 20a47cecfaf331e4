"""Which figures break which promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.verifier.drill.builders import CHEAP, outcome
from verifier.drill.faults import FAULTS
from verifier.drill.promise import Promise
from verifier.drill.verdicts import judge, judge_together

MOVES = Promise(switches=True)


def broken(promise: Promise, **changes: Any) -> list[str]:
    return [breach.figure for breach in judge(outcome(**changes), promise)]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_perfect_outcome_breaks_nothing(fault: Any) -> None:
    """Where nothing went wrong, no fault's promise is broken."""
    assert judge(outcome(fault.name), fault.promise) == ()


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"accepted": 0}, "accepted"),
        ({"refused": 1, "answers": {"201": 99, "503": 1}}, "refused"),
        ({"cut_off": 1}, "cut_off"),
        ({"longest_wait_s": 12.0}, "longest_wait_s"),
        ({"lost": 1}, "lost"),
        ({"owed": 3}, "lost"),
        ({"owed": -1}, "lost"),
        ({"twice": 1}, "twice"),
        ({"switch_s": None, "first_accept_s": None, "first_mail_s": None}, "switch_s"),
        ({"first_accept_s": None}, "first_accept_s"),
        ({"first_mail_s": None}, "first_mail_s"),
        ({"worker_exits": 1}, "worker_exits"),
        ({"healthy": False}, "healthy"),
        ({"trouble": "It was refused."}, "trouble"),
    ],
)
def test_each_spoiled_figure_breaks_its_promise(changes: dict[str, Any], figure: str) -> None:
    """One spoiled figure breaks exactly one promise, and the breach names that figure."""
    assert broken(MOVES, **changes) == [figure]


def test_clear_refusals_are_allowed_where_redis_is_away_for_long() -> None:
    """A 503 with Retry-After breaks nothing when Redis is down for longer than the deadline; others do."""
    patient = Promise(accepts_all=False)
    assert broken(patient, refused=5, unclear=0) == []
    assert broken(patient, refused=5, unclear=1, answers={"201": 95, "503": 4, "500": 1}) == ["refused"]


def test_refusals_are_told_apart() -> None:
    """The sentence says how often each answer came."""
    (breach,) = judge(outcome(refused=3, answers={"201": 97, "500": 1, "503": 2}), MOVES)
    assert breach.sentence == "3 submissions were refused: 1 x 500, 2 x 503."


def test_killed_worker_may_repeat_a_mail_but_not_differently() -> None:
    """Duplicates with the same Message-ID and code are allowed where a worker was killed."""
    may_repeat = Promise(may_repeat=True)
    assert broken(may_repeat, twice=2) == []
    assert broken(may_repeat, twice=2, differing=1) == ["twice"]


def test_killed_web_process_may_cut_off_requests() -> None:
    """Requests in flight may be reset where a web process was killed."""
    assert broken(Promise(may_cut_off=True), cut_off=2) == []


def test_late_mail_breaks_the_promise_of_recovery() -> None:
    """Where another worker takes over, each mail goes out in time."""
    recovers = Promise(mails_within_s=15)
    assert broken(recovers, longest_mail_delay_s=14.9) == []
    assert broken(recovers, longest_mail_delay_s=15.1) == ["longest_mail_delay_s"]


@pytest.mark.parametrize("alarm_s", [None, 1.2])
def test_operator_must_be_warned_in_time(alarm_s: float | None) -> None:
    """Never and late are both too late."""
    assert broken(Promise(alarm_within_s=1.0), alarm_s=alarm_s) == ["alarm_s"]


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"cpu_percent": 1.0}, "cpu"),
        ({"connects_per_s": 1.1}, "connects"),
        ({"memory_growth_bytes": 3 * 1024 * 1024}, "memory"),
        ({"log_lines": 3}, "log_lines"),
    ],
)
def test_waiting_must_cost_next_to_nothing(change: dict[str, Any], figure: str) -> None:
    """While all of Redis is away each process stays within its figures; elsewhere they are not judged."""
    costs = {"worker-1": replace(CHEAP, **change)}
    assert broken(Promise(costs_nothing=True), costs=costs) == [figure]
    assert broken(Promise(), costs=costs) == []


def test_medians_are_judged_over_all_faults() -> None:
    """One slow failover is allowed, most of them slow are not; faults without a failover do not count."""
    fast, slow = outcome(), outcome(first_accept_s=0.9)
    still = outcome(first_accept_s=None, first_mail_s=None)
    assert judge_together([fast, fast, slow, still]) == ()
    assert [breach.figure for breach in judge_together([fast, slow, slow])] == ["first_accept_s"]
    assert judge_together([still]) == ()


def test_worker_that_wakes_up_must_not_repeat_what_others_sent() -> None:
    """What nobody could know to be sent may be repeated during the fault, and nothing after it."""
    paused = Promise(may_repeat=True, repeats_late=False)
    assert broken(paused, twice=2) == []
    assert broken(paused, twice=2, late_repeats=1) == ["twice"]


def test_right_codes_may_be_refused_but_are_never_wrong() -> None:
    """Where Redis is away a check may be refused; a right code that is taken for wrong always breaks a promise."""
    assert broken(Promise(), checks_refused=1) == ["checks"]
    assert broken(Promise(checks_all=False), checks_refused=1) == []
    assert broken(Promise(checks_all=False), checks_wrong=1) == ["checks"]
