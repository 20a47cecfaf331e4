"""What is logged of things that happen to many requests at once."""

from __future__ import annotations

import logging

import pytest

from tests.support.clock import Clock
from verifier.logs import ThrottledLog


def test_many_lines_of_a_kind_become_one_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """The next line says how many were left out."""
    clock = Clock()
    throttled_log = ThrottledLog(logging.getLogger("throttled_log"), every_s=10, clock=clock)
    for number in range(32):
        throttled_log.log(logging.WARNING, "Gave up: %d", number)
    clock.now += 10
    throttled_log.log(logging.WARNING, "Gave up: %d", 32)
    clock.now += 10
    throttled_log.log(logging.WARNING, "Gave up: %d", 33)
    assert caplog.messages == ["Gave up: 0", "Gave up: 32 (and 31 more since the last line)", "Gave up: 33"]


def test_an_error_is_not_left_out_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Each level has its own turn."""
    throttled_log = ThrottledLog(logging.getLogger("throttled_log"), clock=Clock())
    throttled_log.log(logging.WARNING, "Gave up")
    throttled_log.log(logging.ERROR, "Refused")
    assert caplog.messages == ["Gave up", "Refused"]


def test_what_was_left_out_is_counted_although_nothing_more_happens(caplog: pytest.LogCaptureFixture) -> None:
    """A burst is told of whole within the next interval, or at once at the end of a process."""
    clock = Clock()
    throttled_log = ThrottledLog(logging.getLogger("throttled_log"), every_s=60, clock=clock)
    for number in range(10):
        throttled_log.log(logging.WARNING, "Given up: %d", number)
    throttled_log.catch_up()
    assert caplog.messages == ["Given up: 0"]
    clock.now += 60
    throttled_log.catch_up()
    throttled_log.catch_up()
    assert caplog.messages[1:] == ["Given up: 9 (and 8 more since the last line)"]
    throttled_log.log(logging.WARNING, "Given up: %d", 10)
    throttled_log.catch_up(at_once=True)
    assert caplog.messages[2:] == ["Given up: 10"]
