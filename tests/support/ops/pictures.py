"""A topology as a survey would find it, made up: three nodes, three sentinels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sentinel import Endpoint, NodeState, Role, SentinelState, Topology, Vitals
from sentinel.topology.snapshot import KnownReplica

NODES = tuple(Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))
ROOMY = Vitals(memory_used=2 << 20, memory_limit=64 << 20)


def healthy(master: int = 0) -> Topology:
    """Return one in which the node with this number is the master."""
    named = NODES[master]
    others = tuple(each for each in NODES if each != named)
    return Topology(
        "mymaster",
        tuple(
            SentinelState(
                endpoint,
                run_id=str(endpoint.port),
                master=named,
                epoch=1,
                flags=frozenset({"master"}),
                master_for_s=3600.0,
                other_sentinels=2,
                quorum=2,
                down_after_ms=4000,
                failover_timeout_ms=5000,
                ckquorum="OK 3 usable Sentinels.",
                tilt=False,
                replicas=tuple(KnownReplica(each, frozenset({"slave"}), 100) for each in others),
            )
            for endpoint in SENTINELS
        ),
        tuple(_node(endpoint, named) for endpoint in NODES),
    )


def _node(endpoint: Endpoint, master: Endpoint) -> NodeState:
    return NodeState(
        endpoint,
        role=Role.MASTER if endpoint == master else Role.REPLICA,
        follows=None if endpoint == master else master,
        link=None if endpoint == master else "connected",
        offset=100,
        priority=100,
        needs_replicas=True,
        appendonly=True,
        maxmemory_policy="noeviction",
        sync_delay_s=0,
        is_open=False,
        vitals=ROOMY,
    )


def with_node(topology: Topology, number: int, **changes: Any) -> Topology:
    """Change one node."""
    nodes = [replace(each, **changes) if at == number else each for at, each in enumerate(topology.nodes)]
    return replace(topology, nodes=tuple(nodes))


def with_sentinels(topology: Topology, **changes: Any) -> Topology:
    """Change all sentinels."""
    return replace(topology, sentinels=tuple(replace(each, **changes) for each in topology.sentinels))
