"""Waiting for the master to move, and holding writes while it does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sentinel.link import failover_signal as changes_module
from sentinel.link.failover_signal import HOLD_LIMIT_S, FailoverSignal
from sentinel.local.waiting import wait_for

LONG_S = 30.0


def test_a_wait_without_a_change_lasts_its_time() -> None:
    """And says that there was none."""
    started_at = time.monotonic()
    signal = FailoverSignal()
    assert signal.wait(signal.count(), 0.05) is False
    assert time.monotonic() - started_at >= 0.05


def test_a_change_wakes_everybody_who_waits() -> None:
    """At once, however long they would have waited."""
    signal = FailoverSignal()
    seen = signal.count()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(signal.wait, seen, LONG_S) for _ in range(3)]
        assert wait_for(lambda: len(signal._condition._waiters) == 3, 10)  # type: ignore[attr-defined]
        signal.announce()
        assert [each.result(10) for each in waiting] == [True, True, True]


def test_a_change_before_the_wait_is_not_missed() -> None:
    """It counts from when the caller last looked."""
    signal = FailoverSignal()
    seen = signal.count()
    signal.announce()
    assert signal.wait(seen, LONG_S) is True
    assert signal.wait(signal.count(), 0) is False


def test_nobody_is_held_without_a_promotion() -> None:
    """Waiting costs nothing then."""
    started_at = time.monotonic()
    FailoverSignal().wait_while_held()
    assert time.monotonic() - started_at < 0.5


def test_a_hold_ends_when_the_master_has_moved() -> None:
    """Whoever wanted to write goes on at once."""
    signal = FailoverSignal()
    signal.hold()
    done = threading.Event()
    writer = threading.Thread(target=lambda: (signal.wait_while_held(), done.set()))
    writer.start()
    assert wait_for(lambda: bool(signal._condition._waiters), 10)  # type: ignore[attr-defined]
    assert not done.is_set()
    signal.announce()
    assert done.wait(0.5)
    writer.join(5)


def test_a_hold_that_nobody_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failover that was given up must not refuse writes for long."""
    monkeypatch.setattr(changes_module, "HOLD_LIMIT_S", 0.1)
    signal = FailoverSignal()
    signal.hold()
    started_at = time.monotonic()
    signal.wait_while_held()
    assert 0.1 <= time.monotonic() - started_at < 5
    signal.wait_while_held()
    assert HOLD_LIMIT_S <= 2


def test_a_second_hold_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a failover is tried once more."""
    monkeypatch.setattr(changes_module, "HOLD_LIMIT_S", 0.1)
    signal = FailoverSignal()
    signal.hold()
    signal.wait_while_held()
    signal.hold()
    started_at = time.monotonic()
    signal.wait_while_held()
    assert time.monotonic() - started_at >= 0.1
