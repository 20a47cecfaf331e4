"""A master that somebody made a replica of a stranger: logged at once, not taken for a failover."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from sentinel import LocalTopology, MasterLink, RogueMaster, TransientError, wait_for
from verifier.settings import Settings
from verifier.wiring import access_of

DEADLINE_S = 60


@pytest.fixture
def link(topology: LocalTopology, settings: Settings) -> Iterator[MasterLink]:
    """A link to the topology, which is healed afterwards."""
    link = MasterLink(access_of(settings.redis))
    link.run(lambda client: client.set("verifier:test", "1"))
    yield link
    link.close()
    topology.heal()


def fails_as_rogue(link: MasterLink) -> bool:
    """Try to write; return whether the master was found to follow a stranger."""
    try:
        link.redis.set("verifier:test", "2")
    except RogueMaster:
        return True
    except TransientError:
        return False
    return False


def test_a_rogue_is_logged_once(
    topology: LocalTopology, link: MasterLink, caplog: pytest.LogCaptureFixture
) -> None:
    """One error names the node, the stranger and the remedy; after the remedy writes go on."""
    master, stranger = topology.current_master(), topology.start_stranger()
    topology.make_rogue(stranger.endpoint)
    with caplog.at_level(logging.ERROR, logger="sentinel.link.rogue_detector"):
        assert wait_for(lambda: fails_as_rogue(link), DEADLINE_S)
        wait_for(lambda: fails_as_rogue(link), 2)
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 1
    assert str(master.endpoint) in logged[0]
    assert str(stranger.endpoint) in logged[0]
    assert "REPLICAOF NO ONE" in logged[0]

    with topology.admin(master) as admin:
        admin.execute_command("REPLICAOF", "NO", "ONE")
    assert link.run(lambda client: client.set("verifier:test", "3"), DEADLINE_S)


def test_a_failover_is_no_rogue(
    topology: LocalTopology, link: MasterLink, caplog: pytest.LogCaptureFixture
) -> None:
    """A demoted master follows a node that Sentinel knows, so nobody is alarmed."""
    before = topology.current_master()
    with caplog.at_level(logging.ERROR, logger="sentinel.link.rogue_detector"):
        topology.failover()
        assert wait_for(lambda: topology.current_master() != before, DEADLINE_S, interval_s=0.1)
        assert link.run(lambda client: client.set("verifier:test", "4"), DEADLINE_S)
    assert caplog.records == []
