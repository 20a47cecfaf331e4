"""From what a process hears to the history: what counts, and what is kept until Redis takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sentinel import Endpoint, MasterEvents, TransientError
from verifier.store.history import EventKind, HistoryEvent
from verifier.store.history import historian as historian_module
from verifier.store.history.historian import CONFIRMED_WITHIN_S, UNHEARD_AFTER_S, Historian

ONE, TWO, THREE = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381))
SENTINEL = Endpoint("10.0.0.1", 26379)


class World:
    """A link without anybody behind it, and a history in a list; the test says who is the master, and moves the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.named: Endpoint | None = ONE
        self.last_master: Endpoint | None = None
        self.away = False
        self.history: list[tuple[HistoryEvent, float]] = []
        self.events = MasterEvents(self.clock)
        self.directory = self.redis = self

    def clock(self) -> float:
        return self.now

    def named_by_majority(self, within_s: float) -> Endpoint | None:
        assert within_s > 0
        return self.named

    def config_epoch(self, within_s: float) -> int:
        """Answer in time: a sentinel that hangs would otherwise keep leases from being renewed."""
        assert 0 < within_s <= 1
        return 7

    def record(self, client: object, event: HistoryEvent, *, age_s: float = 0.0) -> bool:
        assert client is self
        if self.away:
            raise TransientError("Redis is away.")
        self.history.append((event, age_s))
        return True

    def read(self, client: object, limit: int) -> list[HistoryEvent]:
        assert client is self
        return [event for event, _ in reversed(self.history)][:limit]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """ONE is the master, and nothing has happened."""
    made = World()
    monkeypatch.setattr(historian_module, "record_event", made.record)
    monkeypatch.setattr(historian_module, "read_history", made.read)
    return made


@pytest.fixture
def historian(world: World) -> Historian:
    """It runs when the test says so."""
    link: Any = world
    return Historian(link, world.clock)


def test_a_move_counts_once_a_majority_names_the_new_master(world: World, historian: Historian) -> None:
    """One sentinel alone may be wrong, or in wrong hands."""
    world.events.selected(SENTINEL)
    world.events.moved(ONE, TWO)
    historian.run()
    assert world.history == []
    world.now += 1
    world.named = TWO
    historian.run()
    historian.run()
    assert world.history == [
        (HistoryEvent(EventKind.FAILOVER, ONE, TWO, by=f"sentinel {SENTINEL}", epoch=7), 1.0)
    ]


def test_a_lie_is_forgotten(world: World, historian: Historian) -> None:
    """Also when what it said comes true much later."""
    world.events.moved(ONE, THREE)
    historian.run()
    world.now += CONFIRMED_WITHIN_S + 1
    historian.run()
    world.named = THREE
    historian.run()
    assert world.history == []


def test_two_moves_while_redis_is_away(world: World, historian: Historian) -> None:
    """The first is confirmed by the second, both are kept, and stand at their times."""
    world.away = True
    world.events.moved(ONE, TWO)
    world.now += 5
    world.events.moved(TWO, THREE)
    world.named = THREE
    with pytest.raises(TransientError):
        historian.run()
    world.now += 60
    world.away = False
    historian.run()
    assert [(event.new, event.epoch, age_s) for event, age_s in world.history] == [
        (TWO, None, 65.0),
        (THREE, 7, 60.0),
    ]


def test_everything_else_counts_at_once(world: World, historian: Historian) -> None:
    """A rogue, an attempt that failed, a restart: no majority knows of these."""
    world.events.led_away(ONE, THREE)
    world.events.announced(SENTINEL, "-failover-abort-no-good-slave", ["10.0.0.1", "6379"])
    world.events.announced(SENTINEL, "+reboot", ["10.0.0.1", "6379"])
    historian.run()
    kinds = [event.kind for event, _ in world.history]
    assert kinds == [EventKind.ROGUE, EventKind.FAILOVER_ABORTED, EventKind.RESTART]


def test_a_move_that_nobody_heard_of_is_found(world: World, historian: Historian) -> None:
    """A moment after this process found another master than the history's; without a history there is none to find."""
    world.last_master = ONE
    historian.run()
    world.now += UNHEARD_AFTER_S
    historian.run()
    assert world.history == []
    world.history.append((HistoryEvent(EventKind.FAILOVER, TWO, ONE), 0.0))
    world.last_master = world.named = THREE
    historian.run()
    assert len(world.history) == 1
    world.now += UNHEARD_AFTER_S
    historian.run()
    historian.run()
    found = world.history[-1][0]
    assert len(world.history) == 2
    assert replace(found, why="") == HistoryEvent(EventKind.FAILOVER, ONE, THREE, epoch=7)
    assert found.why.startswith("found later")
