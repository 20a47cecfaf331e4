"""When a master is given its role back without an operator: in turns, under the repair's conditions, and once."""

from __future__ import annotations

import logging

import pytest

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.switchover.repair import NothingToRepair, RepairRefused, RepairResult
from sentinel.switchover.self_repair import AGAIN_AFTER_S, FIRST_TURN_AFTER_S, TURN_S, SelfRepair

MASTER, STRANGER = Endpoint("10.0.0.1", 6379), Endpoint("10.9.9.9", 6379)
ROGUE = (MASTER, STRANGER)


class World:
    """A clock that the test moves, and a repair that does what the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.before_us = 0
        self.by_others = False
        self.failure: Exception | None = None
        self.orders: list[float] = []
        self.done: list[tuple[Endpoint, Endpoint]] = []
        self.self_repair = SelfRepair(
            Access((), "verifier"),
            rank=lambda: self.before_us,
            repaired_lately=lambda: self.by_others,
            done=lambda result, follows: self.done.append((result.node, follows)),
            repair=self._repair,
            clock=lambda: self.now,
        )

    def _repair(self, access: Access) -> RepairResult:
        assert access.master_name == "verifier"
        if self.failure is not None:
            raise self.failure
        self.orders.append(self.now)
        return RepairResult(MASTER, None, 0.1)

    def look_for(self, seconds: int, rogue: tuple[Endpoint, Endpoint] | None = ROGUE) -> None:
        """Look each second."""
        for _ in range(seconds):
            self.self_repair.look(rogue)
            self.self_repair.wait(10)
            self.now += 1


@pytest.fixture
def world() -> World:
    """Nothing has happened."""
    return World()


def test_the_first_in_turn_repairs_once(world: World) -> None:
    """A moment after it was seen; then it is somebody else's matter."""
    world.look_for(3)
    assert world.orders == [1000 + FIRST_TURN_AFTER_S]
    assert world.done == [(MASTER, STRANGER)]
    world.look_for(2, None)
    world.look_for(100)
    assert len(world.orders) == 1


def test_it_is_left_to_people_when_it_comes_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """For an hour, also where another worker gave the order; it is said once a minute."""
    world.by_others = True
    with caplog.at_level(logging.ERROR):
        world.look_for(100)
    assert world.orders == []
    said = [each for each in caplog.messages if "again, within an hour" in each]
    assert 1 <= len(said) <= 2
    world.by_others = False
    world.look_for(10)
    world.look_for(1, None)
    world.now += AGAIN_AFTER_S
    world.look_for(10)
    assert len(world.orders) == 2


def test_whoever_comes_later_waits_and_looks_again(world: World) -> None:
    """Where the first has done it, there is nothing to repair."""
    world.before_us = 2
    world.failure = NothingToRepair("It is the master.")
    world.look_for(int(FIRST_TURN_AFTER_S + 2 * TURN_S))
    world.failure = None
    world.look_for(1)
    assert world.orders == [1000 + FIRST_TURN_AFTER_S + 2 * TURN_S]


def test_a_condition_that_is_not_met_is_said_and_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A failover under way, or a majority that is missing."""
    world.failure = RepairRefused("Nothing was changed. Only 1 of 3 sentinels name the same master.")
    with caplog.at_level(logging.ERROR):
        world.look_for(30)
    assert [each for each in caplog.messages if "Only 1 of 3" in each] == [
        "The master is not given its role back by itself: Nothing was changed. Only 1 of 3 sentinels name the same master."
    ]
    world.failure = None
    world.look_for(10)
    assert len(world.orders) == 1


def test_nothing_is_done_while_there_is_no_rogue(world: World) -> None:
    """A short one gets no order: it is over by the first turn."""
    world.look_for(1)
    world.look_for(50, None)
    assert world.orders == []
