"""Trying until it works, and stopping in the middle of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis

from sentinel import (
    Access,
    AccessRefused,
    Backpressure,
    CircuitOpen,
    MasterLink,
    MasterMoved,
    NotAcknowledged,
    TransientError,
    UnknownMasterName,
)
from workers import retry_policy as retry_policy_module
from workers.health.pulse import PulseFile
from workers.retry_policy import Outage, RetryPolicy, Stopping


@pytest.fixture
def retry_policy() -> Iterator[RetryPolicy]:
    """A policy over a link that never connects."""
    link = MasterLink(Access((), "mymaster"), watch=False)
    yield RetryPolicy(link, Outage(), PulseFile())
    link.close()


class Failing:
    """An operation that fails so many times before it works."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.tries = error, times, 0

    def __call__(self) -> str:
        self.tries += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


@pytest.mark.parametrize(
    "error",
    [
        TransientError("x"),
        MasterMoved("x"),
        NotAcknowledged("x"),
        CircuitOpen("x"),
        Backpressure("x"),
        AccessRefused("x"),
        UnknownMasterName("x"),
        redis.ConnectionError("x"),
        redis.TimeoutError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_state_of_redis_is_waited_for(
    retry_policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Permanent ones, too: an operator may mend them, and the worker is there when they do."""
    monkeypatch.setattr(retry_policy_module, "FIRST_WAIT_S", 0.001)
    operation = Failing(error, 3)
    assert retry_policy.until_it_works(operation) == "done"
    assert operation.tries == 4
    assert not retry_policy.outage.is_on()


@pytest.mark.parametrize(
    "error", [ValueError("x"), redis.ResponseError("ERR what?"), Stopping("x")], ids=repr
)
def test_a_mistake_of_ours_is_not_tried_again(retry_policy: RetryPolicy, error: Exception) -> None:
    """Whoever made it is told."""
    operation = Failing(error, 1)
    with pytest.raises(type(error)):
        retry_policy.until_it_works(operation)
    assert operation.tries == 1


def test_a_move_of_the_master_ends_the_wait(
    retry_policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once."""
    monkeypatch.setattr(retry_policy_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(retry_policy_module, "LONGEST_WAIT_S", 60.0)
    failed = threading.Event()
    operation = Failing(TransientError("x"), 1)

    def once() -> str:
        try:
            return operation()
        finally:
            failed.set()

    done: list[str] = []
    waiting = threading.Thread(target=lambda: done.append(retry_policy.until_it_works(once)))
    waiting.start()
    assert failed.wait(30)
    retry_policy.link.failover_signal.announce()
    waiting.join(30)
    assert done == ["done"]


def test_a_change_before_the_wait_is_not_missed(
    retry_policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master may move while the operation fails."""
    monkeypatch.setattr(retry_policy_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(retry_policy_module, "LONGEST_WAIT_S", 60.0)
    operation = Failing(TransientError("x"), 1)

    def moved_meanwhile() -> str:
        retry_policy.link.failover_signal.announce()
        return operation()

    started_at = time.monotonic()
    assert retry_policy.until_it_works(moved_meanwhile) == "done"
    assert time.monotonic() - started_at < 20


@pytest.mark.parametrize("way", ["ask_to_stop", "stop"])
def test_a_stop_ends_the_wait_soon(
    retry_policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Also when only the flag is set, as by a signal handler."""
    monkeypatch.setattr(retry_policy_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(retry_policy_module, "LONGEST_WAIT_S", 60.0)
    timer = threading.Timer(
        0.1, retry_policy.ask_to_stop if way == "ask_to_stop" else lambda: retry_policy.stop(0)
    )
    timer.start()
    started_at = time.monotonic()
    with pytest.raises(Stopping):
        retry_policy.until_it_works(Failing(TransientError("x"), 1000))
    assert time.monotonic() - started_at < 20
    assert retry_policy.stopping
    timer.join()


def test_what_works_is_done_although_the_worker_stops(retry_policy: RetryPolicy) -> None:
    """Only waiting is given up."""
    retry_policy.stop(0)
    assert retry_policy.until_it_works(lambda: "done") == "done"


def test_settling_goes_on_for_its_time(retry_policy: RetryPolicy) -> None:
    """A mail that went out is written down if Redis comes back within the grace."""
    retry_policy.stop(30)
    operation = Failing(TransientError("x"), 3)
    assert retry_policy.until_it_works(operation, also_while_stopping=True) == "done"
    assert operation.tries == 4


def test_settling_is_given_up_when_its_time_is_over(retry_policy: RetryPolicy) -> None:
    """A worker stops within seconds, whatever Redis does."""
    retry_policy.stop(0.3)
    started_at = time.monotonic()
    with pytest.raises(Stopping):
        retry_policy.until_it_works(Failing(TransientError("x"), 1000), also_while_stopping=True)
    assert 0.3 <= time.monotonic() - started_at < 20


def test_settling_waits_for_the_grace_to_begin(retry_policy: RetryPolicy) -> None:
    """Between the signal and the winding up, which takes as long as the mails on their way."""
    retry_policy.ask_to_stop()
    operation = Failing(TransientError("x"), 2)
    assert retry_policy.until_it_works(operation, also_while_stopping=True) == "done"


def test_a_pause_ends_with_a_stop(retry_policy: RetryPolicy) -> None:
    """And says so."""
    assert retry_policy.pause(0.01) is False
    retry_policy.stop(0)
    started_at = time.monotonic()
    assert retry_policy.pause(60) is True
    assert time.monotonic() - started_at < 20
