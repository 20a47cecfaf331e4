"""The mistakes that all look alike, really made: each is told by what it is, and by what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from redis.exceptions import RedisError

from sentinel import LocalNode, LocalOptions, LocalTopology, wait_for
from tests.support.topologies import FAILOVER_WITHIN_S, settings_on
from verifier.cli.sentinel import sentinel_group
from verifier.readiness import Limits, judge
from verifier.wiring import link_of, lookout_of

# A shorter down-after has warnings of its own.
SHIPPED = LocalOptions(superuser=True)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(SHIPPED) as topology:
        yield topology


@pytest.fixture
def own(running: LocalTopology) -> Iterator[LocalTopology]:
    """Healed before and after."""
    running.heal()
    yield running
    running.heal()


def _status(topology: LocalTopology, **environment: str) -> Result:
    return CliRunner().invoke(sentinel_group, ["status"], env={**topology.environment(), **environment})


def _told(topology: LocalTopology, words: str, within_s: float = FAILOVER_WITHIN_S) -> Result:
    """Ask until these words are said."""
    told: list[Result] = []

    def is_said() -> bool:
        told.append(_status(topology))
        return words in told[-1].output

    assert wait_for(is_said, within_s, interval_s=0.2), told[-1].output
    return told[-1]


def test_a_wrong_master_name(own: LocalTopology) -> None:
    """The name that is right is told, and nobody is told to start anything."""
    told = _status(own, VERIFIER_SENTINEL_MASTER="mymaster")
    assert told.exit_code == 1
    assert (
        "watches a master named 'mymaster', but 'verifier'. Correct the master name in the settings"
        in told.output
    )
    assert "tart" not in told.output
    assert told.output.count("CRITICAL: ") == 1


def test_a_wrong_password_for_the_sentinels(own: LocalTopology) -> None:
    """They run, and refuse us."""
    told = _status(own, VERIFIER_SENTINEL_OPS_PASSWORD="wrong")
    assert told.exit_code == 1
    assert "run, and refuse our login: " in told.output
    assert "invalid username-password pair" in told.output
    assert "The sentinels have users of their own, beside those of the nodes." in told.output
    assert "tart" not in told.output


def test_a_wrong_password_for_the_nodes(own: LocalTopology) -> None:
    """The nodes run, and refuse us; what the sentinels say is shown."""
    told = _status(own, VERIFIER_REDIS_OPS_PASSWORD="wrong")
    assert told.exit_code == 1
    assert f"The master {own.current_master().endpoint} gives no information: " in told.output
    assert "invalid username-password pair" in told.output
    assert "refuses us" in told.output
    assert "tart it" not in told.output


def test_data_nodes_named_as_sentinels(own: LocalTopology) -> None:
    """With our users, whose passwords differ: a node refuses the login before it says that it knows no SENTINEL."""
    told = _status(own, VERIFIER_SENTINELS=",".join(str(node.endpoint) for node in own.nodes))
    assert told.exit_code == 1
    assert "are none: it knows no SENTINEL command: it is a data node" in told.output
    assert "Correct the addresses of the sentinels in the settings." in told.output


def test_one_data_node_among_the_sentinels(own: LocalTopology) -> None:
    """It is told, and counts for no vote: three sentinels are there."""
    named = (own.nodes[0].endpoint, *own.sentinels[:2])
    told = _status(own, VERIFIER_SENTINELS=",".join(map(str, named)))
    assert f"{own.nodes[0].endpoint}, which the settings name as a sentinel, is none" in told.output
    assert "a failover needs" not in told.output


def test_a_data_node_without_users_named_as_a_sentinel(own: LocalTopology) -> None:
    """It says itself that it knows no such command."""
    stranger = own.start_stranger()
    told = _status(
        own,
        VERIFIER_SENTINELS=str(stranger.endpoint),
        VERIFIER_SENTINEL_OPS_USERNAME="",
        VERIFIER_SENTINEL_OPS_PASSWORD="",
        VERIFIER_SENTINEL_USERNAME="",
        VERIFIER_SENTINEL_PASSWORD="",
    )
    stranger.kill()
    assert told.exit_code == 1
    assert "are none: it knows no SENTINEL command" in told.output


def test_sentinels_locked_out_of_all_nodes(own: LocalTopology) -> None:
    """The master serves everybody but them: nothing is lost yet, and no failover would come."""
    assert own.credentials is not None
    try:
        for node in own.nodes:
            _lock_out(own, node, "resetpass", ">another")
        told = _told(own, "They reach no replica either, so no failover can come.")
        settings = settings_on(own)
        link = link_of(settings, watch=False)
        warnings = judge(lookout_of(settings, link).look(), Limits()).warnings
        link.close()
    finally:
        password = own.credentials.redis_sentinel.password
        for node in own.nodes:
            with own.admin(node) as client:
                client.execute_command("ACL", "SETUSER", "sentinel", f">{password}")
                # As a restart of the sentinels does: they keep a connection on which their login was refused.
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert [each.code for each in warnings] == ["sentinels_locked_out"]
    assert told.exit_code == 1
    # The third may not have noticed yet.
    assert re.search(r"CRITICAL: [23] of 3 sentinels take the master", told.output)
    assert "sentinel auth-pass" in told.output


def _lock_out(topology: LocalTopology, node: LocalNode, *rules: str) -> None:
    with topology.admin(node) as client:
        client.execute_command("ACL", "SETUSER", "sentinel", *rules)
        client.execute_command("CLIENT", "KILL", "USER", "sentinel")


def test_a_replica_that_was_removed(own: LocalTopology) -> None:
    """It is told, with what ends that where it does not come back."""
    gone, *_ = own.replicas()
    gone.kill()
    told = _told(own, f"SENTINEL RESET {own.master_name} on one after the other")
    assert f"The replica {gone.endpoint} gives no information: " in told.output
    assert "The sentinels have taken it for down for" in told.output


@pytest.mark.long
def test_a_replica_that_was_removed_for_good() -> None:
    """SENTINEL RESET, as the remedy says, ends it; a topology of its own, since it does not come back."""
    with LocalTopology(SHIPPED) as own:
        gone, *_ = own.replicas()
        gone.kill()
        told = _told(own, f"SENTINEL RESET {own.master_name} on one after the other")
        assert str(gone.endpoint) in told.output
        for sentinel in own.sentinel_nodes:
            with own.admin(sentinel) as client:
                client.execute_command("SENTINEL", "RESET", own.master_name)
            assert wait_for(lambda sentinel=sentinel: _knows_the_rest(own, sentinel), FAILOVER_WITHIN_S)
        assert _told(own, "Nothing is wrong").exit_code == 0
        assert str(gone.endpoint) not in _status(own).output


def _knows_the_rest(topology: LocalTopology, sentinel: LocalNode) -> bool:
    try:
        with topology.admin(sentinel) as client:
            replicas = client.execute_command("SENTINEL", "REPLICAS", topology.master_name)
            peers = client.execute_command("SENTINEL", "SENTINELS", topology.master_name)
    except RedisError:
        return False
    return (len(replicas), len(peers)) == (1, 2)
