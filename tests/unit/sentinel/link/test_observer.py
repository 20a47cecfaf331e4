"""A link tells its observer how it fares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sentinel import CircuitOpen, LinkObserver, MasterLink, RogueMaster, TransientError, wait_for
from sentinel.link.breaker import OVER_AFTER_S, Breaker
from sentinel.link.directory import Directory
from sentinel.link.rogue_detector import TOLD_FOR_S, RogueDetector
from tests.unit.sentinel.conftest import SOON_S, World


class Noting(LinkObserver):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.moves = 0
        self.connections: list[bool] = []
        self.waits: list[tuple[float, bool]] = []
        self.circuits: list[bool] = []
        self.rogues: list[bool] = []
        self.heard: list[tuple[int, int]] = []

    def moved(self) -> None:
        """Count."""
        self.moves += 1

    def connected(self, *, worked: bool) -> None:
        """Keep it."""
        self.connections.append(worked)

    def waited(self, duration_s: float, *, worked: bool) -> None:
        """Keep it."""
        self.waits.append((duration_s, worked))

    def circuit(self, *, is_open: bool) -> None:
        """Keep it."""
        self.circuits.append(is_open)

    def rogue(self, *, is_one: bool) -> None:
        """Keep it."""
        self.rogues.append(is_one)

    def sentinels(self, heard: int, known: int) -> None:
        """Keep it."""
        self.heard.append((heard, known))


@pytest.fixture
def observer() -> Noting:
    """One that was told nothing yet."""
    return Noting()


@pytest.fixture
def link(world: World, observer: Noting) -> Iterator[MasterLink]:
    """A link that tells it, without a watcher."""
    made = MasterLink(world.access(), deadline_s=SOON_S, watch=False, observer=observer)
    yield made
    made.close()


def test_an_operation_that_works_at_once_did_not_wait(link: MasterLink, observer: Noting) -> None:
    """It only connected."""
    for _ in range(3):
        link.run(lambda client: client.ping())
    assert (observer.connections, observer.waits, observer.moves) == ([True], [], 0)


def test_a_failover_is_a_move_and_a_wait(world: World, link: MasterLink, observer: Noting) -> None:
    """Of the one who met it."""
    link.run(lambda client: client.ping())
    world.fail_over()
    link.redis.connection_pool.disconnect()
    link.run(lambda client: client.ping())
    assert observer.moves == 1
    assert [worked for _, worked in observer.waits] == [True]
    assert (observer.connections.count(False) > 0, observer.connections[-1]) == (True, True)


def test_one_who_gives_up_waited_for_nothing(link: MasterLink, observer: Noting) -> None:
    """As long as it had."""

    def fail(_: Any) -> None:
        raise TransientError("It is away.")

    with pytest.raises(TransientError):
        link.run(fail, deadline_s=0.3)
    [(waited_s, worked)] = observer.waits
    assert waited_s >= 0.25
    assert not worked


def test_a_breaker_tells_when_it_refuses_and_when_no_longer(observer: Noting) -> None:
    """Once each."""
    now = 0.0
    breaker = Breaker(10, probe_every_s=60, clock=lambda: now, observer=observer)
    for _ in range(2):
        breaker.failed(breaker.admit())
        for _ in range(6):
            now += 2
            breaker.failed(now)
        breaker.admit()  # the probe
        for _ in range(3):
            with pytest.raises(CircuitOpen):
                breaker.admit()
        breaker.worked()
    assert observer.circuits == [True, False] * 2


def test_an_outage_that_nobody_looks_at_is_over_after_a_while(observer: Noting) -> None:
    """A process with nothing to do says so, too."""
    now = 0.0
    breaker = Breaker(1, probe_every_s=60, clock=lambda: now, observer=observer)
    breaker.failed(breaker.admit())
    now += 2
    breaker.admit()  # the probe
    with pytest.raises(CircuitOpen):
        breaker.admit()
    breaker.note_if_over()
    assert observer.circuits == [True]
    now += OVER_AFTER_S + 1
    breaker.note_if_over()
    assert observer.circuits == [True, False]


def test_a_rogue_is_told_once_and_when_it_is_over(world: World, observer: Noting) -> None:
    """However many meet it."""
    detector = RogueDetector(Directory(world.access(), observer))
    stranger = type(world.master.endpoint)("192.0.2.1", 6379)
    for _ in range(3):
        assert isinstance(detector.demoted(world.master.endpoint, stranger), RogueMaster)
    detector.found_master()
    detector.found_master()
    assert observer.rogues == [True, False]


def test_a_rogue_that_is_not_met_again_is_told_for_a_while(world: World, observer: Noting) -> None:
    """Longer than from scrape to scrape: whoever looks meets it again."""
    now = 0.0
    detector = RogueDetector(Directory(world.access(), observer), clock=lambda: now)
    stranger = type(world.master.endpoint)("192.0.2.1", 6379)
    for _ in range(3):
        detector.demoted(world.master.endpoint, stranger)
        now += TOLD_FOR_S - 1
        detector.forget_unmet()
    assert observer.rogues == [True]
    now += 2
    detector.forget_unmet()
    assert observer.rogues == [True, False]
    detector.demoted(world.master.endpoint, stranger)
    assert observer.rogues == [True, False, True]


def test_a_watcher_tells_how_many_sentinels_it_hears(world: World, observer: Noting) -> None:
    """And when one is gone."""
    link = MasterLink(world.access(), deadline_s=SOON_S, observer=observer)
    try:
        link.run(lambda client: client.ping())
        assert wait_for(lambda: (3, 3) in observer.heard, SOON_S)
        world.sentinels[0].__exit__(None, None, None)
        assert wait_for(lambda: observer.heard[-1] == (2, 3), SOON_S)
    finally:
        link.close()


def test_the_epoch_is_the_newest_that_a_sentinel_tells(
    make_link: Callable[..., MasterLink], world: World
) -> None:
    """None where nobody does."""
    assert make_link().config_epoch(SOON_S) is not None
    nobody = make_link(sentinels=(), sentinel_timeout_s=0.1)
    assert nobody.config_epoch(0.1) is None
