"""What the log says while Redis is away, with a clock that the test moves."""

from __future__ import annotations

import logging

import pytest

from sentinel import AccessRefused, Backpressure, TransientError, UnknownMasterName
from tests.support.clock import Clock
from workers.retry_policy import LOG_AGAIN_AFTER_S, SHORTEST_OUTAGE_S, Outage


@pytest.fixture
def clock() -> Clock:
    """The outage's clock."""
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    """Nothing has failed yet."""
    return Outage(clock)


def _lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(each.levelno, each.getMessage()) for each in caplog.records]


def test_a_reconnect_is_not_worth_a_line(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor a failover: that the master has moved is said by the link."""
    for _ in range(60):
        outage.failed(TransientError("x"))
        clock.now += 0.1
    outage.worked()
    assert _lines(caplog) == []


def test_an_outage_is_said_once_and_once_that_it_is_over(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason, and how long it took, however many loops report it."""
    for _ in range(500):
        outage.failed(TransientError("redis-1:6379 does not answer."))
        clock.now += 0.1
    outage.worked()
    outage.worked()
    (level, first), (_, last) = _lines(caplog)
    assert level == logging.WARNING
    assert first.startswith("Redis can't be reached")
    assert first.endswith("redis-1:6379 does not answer.")
    assert last == "Redis is back after 50.0 s."


def test_a_long_outage_is_said_again_now_and_then(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """At most one line in ten seconds."""
    for _ in range(3000):
        outage.failed(TransientError("x"))
        clock.now += 0.1
    assert len(_lines(caplog)) == 300 / LOG_AGAIN_AFTER_S
    assert LOG_AGAIN_AFTER_S >= 10


@pytest.mark.parametrize("error", [AccessRefused("why, and what to do"), UnknownMasterName("why")])
def test_what_an_operator_must_mend_is_said_at_once(
    outage: Outage, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """As an error, and once."""
    for _ in range(5):
        outage.failed(error)
    [(level, line)] = _lines(caplog)
    assert level == logging.ERROR
    assert "until an operator acts" in line
    assert line.endswith(str(error))


def test_what_an_operator_must_mend_is_said_in_an_outage_too(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is news."""
    outage.failed(TransientError("x"))
    clock.now += SHORTEST_OUTAGE_S
    outage.failed(TransientError("x"))
    outage.failed(AccessRefused("y"))
    assert [level for level, _ in _lines(caplog)] == [logging.WARNING, logging.ERROR]


def test_a_full_redis_is_not_said_to_be_away(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no room."""
    outage.failed(Backpressure("OOM"))
    clock.now += 1
    outage.failed(Backpressure("OOM"))
    assert _lines(caplog)[0][1].startswith("Redis has no room")
