"""The faults an embedded topology can be given, and that it recovers from each."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from redis.exceptions import RedisError

from sentinel import LocalNode, LocalTopology, Login, TopologyError, wait_for
from sentinel.local.running_topology import connect

pytestmark = pytest.mark.chaos


@pytest.fixture
def disturbed(topology: LocalTopology) -> Iterator[LocalTopology]:
    """The shared topology, healthy before and healed afterwards."""
    topology.heal()
    yield topology
    topology.heal()


def _role(topology: LocalTopology, node: LocalNode) -> str:
    """Return a node's role in Redis's words; empty when it does not answer."""
    try:
        with topology.admin(node) as client:
            return str(client.execute_command("ROLE")[0])
    except RedisError:
        return ""


def _await_other_master(topology: LocalTopology, old: LocalNode) -> LocalNode:
    found: list[LocalNode] = []

    def moved() -> bool:
        try:
            found.append(topology.current_master())
        except TopologyError:
            return False
        return found[-1] is not old

    assert wait_for(moved, 30, interval_s=0.1)  # seldom: a busy machine makes Sentinel see false failures
    return found[-1]


@pytest.mark.parametrize("fault", [LocalNode.kill, LocalNode.pause])
def test_lost_master_is_replaced_and_comes_back_as_replica(
    disturbed: LocalTopology, fault: Callable[[LocalNode], None]
) -> None:
    """A killed or hung master is replaced by a replica with all the data, and rejoins as its replica."""
    old = disturbed.current_master()
    with disturbed.admin(old) as client:
        client.set("verifier:kept", "yes", ex=60)
        assert client.execute_command("WAIT", 2, 2000) == 2
    fault(old)
    new = _await_other_master(disturbed, old)
    with disturbed.admin(new) as client:
        assert client.get("verifier:kept") == "yes"
    disturbed.heal()
    # A busy machine may have moved it once more, but not to whom was just lost.
    assert disturbed.current_master() is not old
    assert _role(disturbed, old) == "slave"


def test_bare_failover_moves_the_master(disturbed: LocalTopology) -> None:
    """SENTINEL FAILOVER promotes a replica, and the old master follows it."""
    old = disturbed.current_master()
    disturbed.failover()
    new = _await_other_master(disturbed, old)
    assert wait_for(disturbed.is_healthy, 60, interval_s=0.1), disturbed.snapshot()
    assert _role(disturbed, old) == "slave"
    assert _role(disturbed, new) == "master"


def test_role_outlives_a_restart_although_the_files_are_rendered_anew(disturbed: LocalTopology) -> None:
    """After a failover, restarted nodes keep the role Sentinel gave them, not the one they began with."""
    old = disturbed.current_master()
    disturbed.failover()
    new = _await_other_master(disturbed, old)
    disturbed.heal()
    old.shutdown_gracefully()
    old.restart()
    assert _role(disturbed, old) == "slave"
    replicaof = [
        line for line in (new.directory / "redis.conf").read_text().splitlines() if "replicaof" in line
    ]
    assert replicaof == []


def test_sentinel_keeps_its_memory_through_a_restart(disturbed: LocalTopology) -> None:
    """A sentinel that was down during a failover returns with its id, and learns who is master now."""
    sentinel = disturbed.sentinel_nodes[1]
    with disturbed.admin(sentinel) as client:
        identity = client.execute_command("SENTINEL", "MYID")
    sentinel.kill()
    old = disturbed.current_master()
    disturbed.failover()
    new = _await_other_master(disturbed, old)
    sentinel.restart()
    with disturbed.admin(sentinel) as client:
        assert client.execute_command("SENTINEL", "MYID") == identity
    disturbed.heal()
    masters = {each.endpoint: each.master for each in disturbed.snapshot().sentinels}
    assert masters[sentinel.endpoint] == new.endpoint


def test_all_redis_down_and_back(disturbed: LocalTopology) -> None:
    """When every node was killed, the data is there again after they return."""
    with disturbed.admin(disturbed.current_master()) as client:
        client.set("verifier:kept", "on disk", ex=60)
        assert client.execute_command("WAIT", 2, 2000) == 2
    for node in disturbed.nodes:
        node.kill()
    with pytest.raises(TopologyError, match="No node is the master now"):
        disturbed.current_master()
    disturbed.heal()
    with disturbed.admin(disturbed.current_master()) as client:
        assert client.get("verifier:kept") == "on disk"


def test_all_sentinels_down_and_back(disturbed: LocalTopology) -> None:
    """Without any sentinel nobody names a master; afterwards the same one is named."""
    master = disturbed.current_master()
    for sentinel in disturbed.sentinel_nodes:
        sentinel.kill()
    assert {each.master for each in disturbed.snapshot().sentinels} == {None}
    disturbed.heal()
    assert disturbed.current_master() is master


@pytest.mark.parametrize("shares_users", [False, True])
def test_rogue_master_is_called_back(disturbed: LocalTopology, shares_users: bool) -> None:
    """A master made to follow a stranger is no master to us, and `heal` calls it back."""
    stranger = disturbed.start_stranger(shares_users=shares_users)
    rogue = disturbed.make_rogue(stranger.endpoint)
    assert _role(disturbed, rogue) == "slave"
    with pytest.raises(TopologyError):
        disturbed.current_master()
    disturbed.heal()
    stranger.kill()


def test_stranger_belongs_to_nobody(disturbed: LocalTopology) -> None:
    """A stranger is a master by itself, needs no password, and no sentinel knows it."""
    stranger = disturbed.start_stranger()
    with connect(stranger.endpoint, Login()) as client:
        assert client.execute_command("ROLE")[0] == "master"
    assert disturbed.is_healthy()
    stranger.shutdown_gracefully()
    assert not stranger.running


def test_hung_node_answers_nothing_until_resumed(disturbed: LocalTopology) -> None:
    """A paused process still runs and accepts connections, and answers again when resumed."""
    node = disturbed.replicas()[0]
    node.pause()
    assert node.running
    assert _role(disturbed, node) == ""
    node.resume()
    assert wait_for(lambda: _role(disturbed, node) == "slave", 60)


def test_killed_node_keeps_its_port(disturbed: LocalTopology) -> None:
    """While a node is down its port is refused and nobody else can take it."""
    node = disturbed.replicas()[0]
    endpoint = node.endpoint
    node.kill()
    assert not node.running
    assert node.pid == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(endpoint, timeout=1)
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(endpoint)
    node.restart()
    assert node.endpoint == endpoint
