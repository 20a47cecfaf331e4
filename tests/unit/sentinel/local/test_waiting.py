"""Waiting for a condition."""

from __future__ import annotations

from sentinel.local.waiting import wait_for


def test_true_as_soon_as_the_condition_holds() -> None:
    """The condition is asked again until it holds."""
    answers = iter([False, False, True])
    assert wait_for(lambda: next(answers), timeout_s=5, interval_s=0)


def test_false_when_the_time_is_up() -> None:
    """A condition that never holds is asked at least once and given up."""
    asked: list[bool] = []
    assert not wait_for(lambda: bool(asked.append(True)), timeout_s=0)
    assert asked
