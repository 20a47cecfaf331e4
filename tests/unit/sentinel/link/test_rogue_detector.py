"""A master that became a replica: in a failover, or by somebody's order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from sentinel.endpoints import Endpoint
from sentinel.errors import RogueMaster
from sentinel.link.directory import Directory
from sentinel.link.rogue_detector import RogueDetector
from tests.support.fake_redis import Hang

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World

STRANGER = Endpoint("127.0.0.1", 1)


@pytest.fixture
def detector(world: World) -> RogueDetector:
    """A detector that asks the sentinels of the world."""
    return RogueDetector(Directory(world.access()))


def test_replica_of_a_known_node_is_part_of_a_failover(detector: RogueDetector, world: World) -> None:
    """Nothing is wrong then."""
    error = detector.demoted(world.other.endpoint, world.master.endpoint)
    assert not isinstance(error, RogueMaster)
    assert "a failover is under way" in str(error)


def test_replica_of_a_stranger_is_a_rogue(
    detector: RogueDetector, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and again when there was a master in between."""
    for _ in range(3):
        error = detector.demoted(world.master.endpoint, STRANGER)
        assert isinstance(error, RogueMaster)
        assert "REPLICAOF NO ONE" in str(error)
    assert len(_logged(caplog)) == 1
    detector.found_master()
    detector.demoted(world.master.endpoint, STRANGER)
    assert len(_logged(caplog)) == 2


def test_nobody_is_called_a_rogue_while_no_sentinel_answers(detector: RogueDetector, world: World) -> None:
    """Who is a stranger can't be known then."""
    for each in world.sentinels:
        each.instead = Hang()
    assert not isinstance(detector.demoted(world.master.endpoint, STRANGER), RogueMaster)


def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
