"""What a process hears of the master: one event a fact, with the reason that the sentinels gave."""

from __future__ import annotations

import pytest

from sentinel.endpoints import Endpoint
from sentinel.master_events import MOST_KEPT, MasterEventKind, MasterEvents

ONE, TWO = Endpoint("10.0.0.1", 6379), Endpoint("10.0.0.2", 6379)
LEADER, OTHER = Endpoint("10.0.0.1", 26379), Endpoint("10.0.0.2", 26379)
AT_ONE = ["10.0.0.1", "6379"]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


@pytest.fixture
def events(clock: Clock) -> MasterEvents:
    """Nothing heard yet."""
    return MasterEvents(clock)


def test_a_failover_is_one_event_with_its_reason_and_its_leader(events: MasterEvents) -> None:
    """Three sentinels announce it; who chose the replica leads."""
    for sentinel in (LEADER, OTHER):
        events.announced(sentinel, "+odown", [*AT_ONE, "#quorum", "3/2"])
    events.announced(LEADER, "+try-failover", AT_ONE)
    events.selected(LEADER)
    for _ in range(3):
        events.moved(ONE, TWO)
    [event] = events.take()
    assert (event.kind, event.old, event.new, event.sentinel) == (MasterEventKind.MOVED, ONE, TWO, LEADER)
    assert event.why == "the sentinels took it for down (3 agreed, 2 needed)"
    assert events.take() == []


def test_an_ordered_one_was_not_down(events: MasterEvents) -> None:
    """SENTINEL FAILOVER tries without anybody having taken the master for down."""
    events.announced(OTHER, "+odown", [*AT_ONE, "#quorum", "2/2"])
    events.announced(OTHER, "-odown", AT_ONE)
    events.announced(LEADER, "+try-failover", AT_ONE)
    events.moved(ONE, TWO)
    assert [each.why for each in events.take()] == ["a failover was ordered (SENTINEL FAILOVER)"]


def test_the_reason_of_one_move_is_not_that_of_the_next(events: MasterEvents, clock: Clock) -> None:
    """And nobody makes one up where the sentinels did not let us hear it."""
    events.announced(OTHER, "+odown", [*AT_ONE, "#quorum", "2/2"])
    events.moved(ONE, TWO)
    events.moved(TWO, ONE)
    events.announced(LEADER, "+try-failover", AT_ONE)
    clock.now += 90
    events.moved(ONE, TWO)
    assert [each.why for each in events.take()] == [
        "the sentinels took it for down (2 agreed, 2 needed)",
        "",
        "",
    ]


def test_attempts_that_failed_and_restarts(events: MasterEvents, clock: Clock) -> None:
    """Once each, and again when they come again later."""
    for _ in range(2):
        events.announced(OTHER, "-failover-abort-no-good-slave", AT_ONE)
        events.announced(OTHER, "+reboot", AT_ONE)
    clock.now += 60
    events.announced(OTHER, "+reboot", AT_ONE)
    found = [(each.kind, each.why, each.sentinel) for each in events.take()]
    restarted = (MasterEventKind.RESTARTED, "its process was started anew", None)
    assert found == [(MasterEventKind.ABORTED, "no good slave", OTHER), restarted, restarted]


def test_rubbish_is_no_event_and_nobody_has_to_take_them(events: MasterEvents, clock: Clock) -> None:
    """A web process takes none, and keeps few."""
    events.announced(OTHER, "+reboot", ["somewhere"])
    assert events.take() == []
    for number in range(3 * MOST_KEPT):
        clock.now += 1
        events.led_away(ONE, Endpoint("10.9.9.9", number + 1))
    assert len(events.take()) == MOST_KEPT
