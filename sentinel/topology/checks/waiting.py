"""When the remedy is to wait: orders that cross a failover make two masters of one, or a replica of nobody."""

from __future__ import annotations

from sentinel.protocol import Role
from sentinel.topology.snapshot import Topology

WAIT = "Wait until it is over, and run nothing meanwhile: look again in ten seconds."


def points_at_a_master(topology: Topology) -> bool:
    """Return whether a node may be sent to the named master: it says that it is one, and no failover is under way."""
    master = topology.master
    return master is not None and master.role is Role.MASTER and not topology.is_failing_over


def unless_unsettled(topology: Topology, remedy: str) -> str:
    """Return the remedy for what is usual during a failover, and passes with it."""
    if not topology.is_unsettled:
        return remedy
    return f"During a failover and some seconds after it this is usual: wait, and look again. If it lasts: {remedy[0].lower()}{remedy[1:]}"
