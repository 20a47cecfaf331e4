"""What a snapshot tells by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.topology.snapshot import KnownReplica, NodeState, SentinelState, Topology

MASTER, ONE, TWO = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))


def _sentinel(endpoint: Endpoint, master: Endpoint | None = MASTER) -> SentinelState:
    return SentinelState(
        endpoint,
        master=master,
        other_sentinels=2,
        replicas=tuple(KnownReplica(each, frozenset({"slave"}), 100) for each in (ONE, TWO)),
    )


def _replica(endpoint: Endpoint) -> NodeState:
    return NodeState(endpoint, role=Role.REPLICA, follows=MASTER, link="connected", offset=90, priority=100)


@pytest.fixture
def topology() -> Topology:
    """A master, two replicas ten bytes behind, three sentinels."""
    master = NodeState(MASTER, role=Role.MASTER, offset=100, priority=100)
    return Topology("verifier", tuple(map(_sentinel, SENTINELS)), (master, _replica(ONE), _replica(TWO)))


def test_master_is_who_most_sentinels_name(topology: Topology) -> None:
    """One sentinel that is behind changes nothing, and its view is still counted."""
    first, *others = topology.sentinels
    divided = replace(topology, sentinels=(replace(first, master=ONE), *others))
    assert divided.named_master == MASTER
    assert divided.named_masters == {MASTER: 2, ONE: 1}
    assert divided.master is not None
    assert divided.master.role is Role.MASTER


def test_nobody_is_master_where_no_sentinel_answers(topology: Topology) -> None:
    """Without sentinels there is no master, whatever the nodes say of themselves."""
    silent = replace(topology, sentinels=(SentinelState(SENTINELS[0], error="down"),))
    assert silent.named_master is None
    assert silent.master is None
    assert silent.candidates == ()


def test_sentinels_that_nobody_reaches_are_counted(topology: Topology) -> None:
    """One sentinel that answers and knows two others makes three."""
    assert replace(topology, sentinels=topology.sentinels[:1]).sentinel_count == 3


def test_lag_is_bytes_behind_the_master(topology: Topology) -> None:
    """A replica lags by the difference of the offsets; one asked a moment later than the master by nothing."""
    ahead = replace(topology.nodes[1], offset=120)
    assert topology.lag_of(topology.nodes[1]) == 10
    assert topology.lag_of(ahead) == 0
    assert topology.lag_of(topology.nodes[0]) is None


@pytest.mark.parametrize(
    ("change", "healthy", "candidate"),
    [
        ({}, True, True),
        ({"priority": 0}, True, False),
        ({"priority": None}, True, True),
        ({"link": "sync"}, False, False),
        ({"follows": TWO}, False, False),
        ({"role": Role.MASTER, "follows": None}, False, False),
        ({"role": None}, False, False),
    ],
)
def test_candidates_are_the_replicas_that_could_take_over(
    topology: Topology, change: dict[str, object], healthy: bool, candidate: bool
) -> None:
    """Who is not in sync with the named master, or has priority 0, is none."""
    changed = replace(topology.nodes[1], **change)  # type: ignore[arg-type] # the table holds fields of several types
    with_it = replace(topology, nodes=(topology.nodes[0], changed))
    assert bool(with_it.healthy_replicas) is healthy
    assert bool(with_it.candidates) is candidate


def test_replica_is_seen_down_where_all_sentinels_say_so(topology: Topology) -> None:
    """One sentinel that still reaches it might promote it."""
    down = KnownReplica(ONE, frozenset({"slave", "s_down"}), 100)
    blind = [replace(each, replicas=(down,)) for each in topology.sentinels]
    assert replace(topology, sentinels=tuple(blind)).is_seen_down(ONE)
    assert not replace(topology, sentinels=(*blind[:2], topology.sentinels[2])).is_seen_down(ONE)
    assert not topology.is_seen_down(Endpoint("10.9.9.9", 1))
