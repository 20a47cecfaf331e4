"""Whether there is one master, and it is the one that the sentinels name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sentinel.protocol import Role
from sentinel.topology.checks.waiting import WAIT, points_at_a_master
from sentinel.topology.findings import Finding, arguments_of, critical, remedy_for, silence, warning
from sentinel.topology.healing import mends_a_rogue_within_s, never_mends_because
from sentinel.topology.snapshot import NodeState, Topology


def _named_master_is_one(topology: Topology) -> Iterator[Finding]:
    master = topology.master
    if master is None or master.is_unresolved:  # which `names` tells
        return
    if not master.answers:
        yield critical(
            "master-silent",
            f"The master {silence(master)}",
            remedy_for(
                master,
                "If the sentinels can't reach it either, a replica takes over in a moment; look again.",
            ),
        )
    elif master.role is Role.REPLICA:
        yield _led_away(master, topology)


def _led_away(master: NodeState, topology: Topology) -> Finding:
    """Judge a named master that follows another node: the end of a failover, or somebody's REPLICAOF."""
    follows = topology.node(master.follows) if master.follows is not None else None
    if topology.is_failing_over or (follows is not None and follows.role is not Role.REPLICA):
        return warning(
            "failover-ending",
            f"{master.endpoint}, which sentinels still name as the master, is a replica of {master.follows} by now: a "
            "failover is ending.",
            WAIT,
            blocks_switchover=True,
        )
    found = critical(
        "rogue",
        f"{master.endpoint} is a replica of {master.follows}, though the sentinels name it as the master: somebody gave "
        "it REPLICAOF.",
        f"Run REPLICAOF NO ONE on {master.endpoint} now: {_alone(topology)}",
    )
    return replace(found, repairable=True)


def _alone(topology: Topology) -> str:
    """Say what happens if nobody does anything."""
    within_s = mends_a_rogue_within_s(topology)
    if within_s is None:
        return f"Sentinel will never mend it ({never_mends_because(topology)})."
    return f"Sentinel takes {within_s:.0f} s, in which a stranger's data may replace all copies."


def _no_other_is_master(topology: Topology) -> Iterator[Finding]:
    for node in topology.replicas:
        if node.role is not Role.MASTER:
            continue
        if topology.is_just_promoted(node):
            yield warning(
                "being-promoted",
                f"{node.endpoint} has just been promoted, and the sentinels still name {topology.named_master}: a "
                "failover is under way.",
                WAIT,
                blocks_switchover=True,
            )
        else:
            yield critical(
                "two-masters",
                f"{node.endpoint} says that it is a master, though the sentinels name {topology.named_master}. What was "
                "written to it alone is lost.",
                _follow_the_master(topology),
            )


def _follow_the_master(topology: Topology) -> str:
    """Return what to do with a second master; nobody is ever sent to a node that is not seen to be one."""
    if not points_at_a_master(topology):
        return WAIT
    return (
        "Back from a crash, Sentinel makes it a replica within some ten seconds; if it does not, run REPLICAOF "
        f"{arguments_of(topology.named_master)} on it."
    )


CHECKS = (
    _named_master_is_one,
    _no_other_is_master,
)
