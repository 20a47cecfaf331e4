"""Trying until it works, and stopping in the middle of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis

from sentinel.access import Access
from sentinel.errors import (
    AccessRefused,
    Backpressure,
    CircuitOpen,
    MasterMoved,
    NotAcknowledged,
    TransientError,
    UnknownMasterName,
)
from sentinel.link import MasterLink
from workers import patience as patience_module
from workers.outage import Outage
from workers.patience import Patience, Stopping


@pytest.fixture
def patience() -> Iterator[Patience]:
    """Patience with a link that never connects."""
    link = MasterLink(Access((), "mymaster"), watch=False)
    yield Patience(link, Outage())
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
        CircuitOpen("x", 1),
        Backpressure("x"),
        AccessRefused("x"),
        UnknownMasterName("x"),
        redis.ConnectionError("x"),
        redis.TimeoutError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_state_of_redis_is_waited_for(
    patience: Patience, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Permanent ones, too: an operator may mend them, and the worker is there when they do."""
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 0.001)
    operation = Failing(error, 3)
    assert patience.until_it_works(operation) == "done"
    assert operation.tries == 4
    assert not patience.outage.is_on()


@pytest.mark.parametrize(
    "error", [ValueError("x"), redis.ResponseError("ERR what?"), Stopping("x")], ids=repr
)
def test_a_mistake_of_ours_is_not_tried_again(patience: Patience, error: Exception) -> None:
    """Whoever made it is told."""
    operation = Failing(error, 1)
    with pytest.raises(type(error)):
        patience.until_it_works(operation)
    assert operation.tries == 1


def test_a_move_of_the_master_ends_the_wait(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once."""
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(patience_module, "LONGEST_WAIT_S", 60.0)
    failed = threading.Event()
    operation = Failing(TransientError("x"), 1)

    def once() -> str:
        try:
            return operation()
        finally:
            failed.set()

    done: list[str] = []
    waiting = threading.Thread(target=lambda: done.append(patience.until_it_works(once)))
    waiting.start()
    assert failed.wait(10)
    patience.link.changes.announce()
    waiting.join(5)
    assert done == ["done"]


def test_a_change_before_the_wait_is_not_missed(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master may move while the operation fails."""
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(patience_module, "LONGEST_WAIT_S", 60.0)
    operation = Failing(TransientError("x"), 1)

    def moved_meanwhile() -> str:
        patience.link.changes.announce()
        return operation()

    started_at = time.monotonic()
    assert patience.until_it_works(moved_meanwhile) == "done"
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize("way", ["ask_to_stop", "stop"])
def test_a_stop_ends_the_wait_soon(patience: Patience, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Also when only the flag is set, as by a signal handler."""
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(patience_module, "LONGEST_WAIT_S", 60.0)
    timer = threading.Timer(0.1, patience.ask_to_stop if way == "ask_to_stop" else lambda: patience.stop(0))
    timer.start()
    started_at = time.monotonic()
    with pytest.raises(Stopping):
        patience.until_it_works(Failing(TransientError("x"), 1000))
    assert time.monotonic() - started_at < 5
    assert patience.stopping
    timer.join()


def test_what_works_is_done_although_the_worker_stops(patience: Patience) -> None:
    """Only waiting is given up."""
    patience.stop(0)
    assert patience.until_it_works(lambda: "done") == "done"


def test_settling_goes_on_for_its_time(patience: Patience) -> None:
    """A mail that went out is written down if Redis comes back within the grace."""
    patience.stop(30)
    operation = Failing(TransientError("x"), 3)
    assert patience.until_it_works(operation, also_while_stopping=True) == "done"
    assert operation.tries == 4


def test_settling_is_given_up_when_its_time_is_over(patience: Patience) -> None:
    """A worker stops within seconds, whatever Redis does."""
    patience.stop(0.3)
    started_at = time.monotonic()
    with pytest.raises(Stopping):
        patience.until_it_works(Failing(TransientError("x"), 1000), also_while_stopping=True)
    assert 0.3 <= time.monotonic() - started_at < 5


def test_settling_waits_for_the_grace_to_begin(patience: Patience) -> None:
    """Between the signal and the winding up, which takes as long as the mails on their way."""
    patience.ask_to_stop()
    operation = Failing(TransientError("x"), 2)
    assert patience.until_it_works(operation, also_while_stopping=True) == "done"


def test_a_pause_ends_with_a_stop(patience: Patience) -> None:
    """And says so."""
    assert patience.pause(0.01) is False
    patience.stop(0)
    started_at = time.monotonic()
    assert patience.pause(60) is True
    assert time.monotonic() - started_at < 5
