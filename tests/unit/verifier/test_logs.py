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
