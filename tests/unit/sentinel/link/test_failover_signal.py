"""Waiting for the master to move, and holding writes while it does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from sentinel.deadline import request_deadline
from sentinel.endpoints import Endpoint
from sentinel.errors import DeadlinePassed
from sentinel.link import failover_signal as signal_module
from sentinel.link.failover_signal import HOLD_LIMIT_S, NO_HOLD_FOR_S, FailoverSignal
from sentinel.local.waiting import wait_for
from tests.support.clock import Clock

LONG_S = 30.0
OLD, NEW = Endpoint("127.0.0.1", 7001), Endpoint("127.0.0.1", 7002)
LEADER, OTHER = Endpoint("127.0.0.1", 8001), Endpoint("127.0.0.1", 8002)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the signal, which stands still unless it is moved."""
    made = Clock()
    monkeypatch.setattr(signal_module, "time", SimpleNamespace(monotonic=made))
    return made


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold that ends within a test was ended by somebody."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 10 * LONG_S)


def _held_s(signal: FailoverSignal) -> float:
    """Return for how long a write is held, in seconds."""
    started_at = time.monotonic()
    signal.wait_while_held()
    return time.monotonic() - started_at


def _sit_out(signal: FailoverSignal, clock: Clock) -> float:
    """Let a write wait as long as it is held, by the clock that is moved; return for how many seconds."""
    held_s = max(0.0, signal._held_until - clock())
    clock.move(held_s)
    signal.wait_while_held()
    return held_s


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
        assert wait_for(lambda: len(signal._condition._waiters) == 3, LONG_S)  # type: ignore[attr-defined]
        signal.announce()
        assert [each.result(LONG_S / 2) for each in waiting] == [True, True, True]


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
    assert time.monotonic() - started_at < HOLD_LIMIT_S / 2


def test_a_hold_ends_when_the_master_has_moved(endless: None) -> None:
    """Whoever wanted to write goes on at once."""
    signal = FailoverSignal()
    signal.hold()
    done = threading.Event()
    writer = threading.Thread(target=lambda: (signal.wait_while_held(), done.set()))
    writer.start()
    assert wait_for(lambda: bool(signal._condition._waiters), LONG_S)  # type: ignore[attr-defined]
    assert not done.is_set()
    signal.announce()
    assert done.wait(LONG_S)
    writer.join(LONG_S)


def test_a_hold_that_nobody_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failover that was given up must not refuse writes for long."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 0.2)
    signal = FailoverSignal()
    started_at = time.monotonic()
    signal.hold()
    signal.wait_while_held()
    assert 0.19 <= time.monotonic() - started_at < LONG_S
    assert signal._held_until == 0
    assert HOLD_LIMIT_S == 5


def test_repeated_messages_renew_no_hold(clock: Clock) -> None:
    """However often a replica is said to be chosen, and by whom: forged ones must not stop the service."""
    signal = FailoverSignal()
    ends_at = clock() + HOLD_LIMIT_S + NO_HOLD_FOR_S
    waits = []
    while clock() < ends_at:
        signal.hold(LEADER, OLD)
        signal.hold(OTHER, OLD)
        waits.append(_sit_out(signal, clock))
        clock.move(0.01)
    assert sum(waits) == pytest.approx(HOLD_LIMIT_S)


def test_holds_given_up_and_begun_again_last_no_longer_in_all(clock: Clock) -> None:
    """A forged end between two forged beginnings renews nothing, either."""
    signal = FailoverSignal()
    held_s, ends_at = 0.0, clock() + HOLD_LIMIT_S + NO_HOLD_FOR_S
    while clock() < ends_at:
        signal.hold(LEADER, OLD)
        held_s += max(0.0, min(0.3, signal._held_until - clock()))
        clock.move(0.3)
        signal.release(LEADER)
    assert held_s == pytest.approx(HOLD_LIMIT_S)


def test_after_a_while_without_a_hold_there_may_be_one(clock: Clock) -> None:
    """As when a failover is tried once more."""
    signal = FailoverSignal()
    signal.hold()
    _sit_out(signal, clock)
    clock.move(NO_HOLD_FOR_S - 0.1)
    signal.hold()
    assert _sit_out(signal, clock) == 0
    clock.move(0.2)
    signal.hold()
    assert _sit_out(signal, clock) == pytest.approx(HOLD_LIMIT_S)


def test_a_switch_allows_the_next_hold_at_once(clock: Clock) -> None:
    """A second failover may follow the first."""
    signal = FailoverSignal()
    signal.hold(LEADER, OLD)
    _sit_out(signal, clock)
    signal.hold(LEADER, OLD)
    assert _sit_out(signal, clock) == 0
    signal.announce()
    signal.hold(LEADER, NEW)
    assert _sit_out(signal, clock) == pytest.approx(HOLD_LIMIT_S)


def test_the_end_of_the_failover_ends_its_hold(endless: None) -> None:
    """Said by the sentinel that leads it; another's word counts for nothing."""
    signal = FailoverSignal()
    signal.hold(LEADER, OLD)
    signal.release(OTHER)
    signal.release()
    assert signal._held_until > time.monotonic()
    signal.release(LEADER)
    assert signal._held_until == 0
    assert _held_s(signal) < LONG_S


def test_a_hold_ends_only_with_another_master(endless: None) -> None:
    """That the old one is named again says nothing of the promotion that is under way."""
    signal = FailoverSignal()
    signal.hold(LEADER, OLD)
    signal.moved_to(OLD)
    assert signal._held_until > time.monotonic()
    assert signal.count() == 1
    signal.moved_to(NEW)
    assert signal._held_until == 0
    assert _held_s(signal) < LONG_S


def test_a_hold_counts_in_the_requests_time(endless: None) -> None:
    """Whoever has none left hears so, a moment after the deadline at most."""
    signal = FailoverSignal()
    signal.hold(LEADER, OLD)
    started_at = time.monotonic()
    with pytest.raises(DeadlinePassed, match="no time left"), request_deadline(0.2):
        signal.wait_while_held()
    assert 0.19 <= time.monotonic() - started_at < LONG_S
    assert signal._held_until > time.monotonic()
