"""What a drill ran on is what the servers say, and the difference to what is shipped is one sentence."""

from __future__ import annotations

import pytest

from sentinel import Endpoint, NodeState, Role, SentinelState, Topology, TopologyError, shipped_times_ms
from verifier.drill.rig.conditions import Conditions, conditions_of


def _topology(*servers: str | None, down_after_ms: int | None = 1500) -> Topology:
    endpoint = Endpoint("127.0.0.1", 1)
    nodes = tuple(NodeState(endpoint, role=Role.MASTER, server=server) for server in servers)
    sentinel = SentinelState(endpoint, master=endpoint, down_after_ms=down_after_ms, failover_timeout_ms=5000)
    return Topology("verifier", (sentinel,), nodes)


def test_conditions_are_read_from_the_servers() -> None:
    """Version and times are those that servers and sentinels tell, whatever was asked for."""
    found = conditions_of(_topology("Valkey 8.1.1", "Valkey 8.1.1"))
    assert found == Conditions("Valkey 8.1.1", 1500, 5000)


@pytest.mark.parametrize(
    "topology",
    [
        _topology("Redis 7.0.15", "Redis 6.2.14"),
        _topology(None),
        _topology("Redis 8.0.2", down_after_ms=None),
    ],
)
def test_what_is_not_known_is_no_condition(topology: Topology) -> None:
    """Servers that differ, or do not tell, end the drill with a sentence."""
    with pytest.raises(TopologyError, match="do not all tell one"):
        conditions_of(topology)


def test_the_difference_to_what_is_shipped_is_said() -> None:
    """Times that are shipped are called so; others stand beside the shipped ones."""
    down_after_ms, failover_timeout_ms = shipped_times_ms()
    shipped = str(Conditions("Redis 7.0.15", down_after_ms, failover_timeout_ms))
    assert shipped.endswith("as shipped.")
    other = str(Conditions("Redis 7.0.15", down_after_ms - 1, failover_timeout_ms))
    assert f"shipped are {down_after_ms} ms and {failover_timeout_ms} ms" in other
