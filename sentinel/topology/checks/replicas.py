"""Whether the replicas follow the master, and one of them could take over."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.checks.waiting import WAIT, points_at_a_master, unless_unsettled
from sentinel.topology.findings import Finding, arguments_of, critical, remedy_for, silence, warning
from sentinel.topology.snapshot import NodeState, Topology


def _all_follow_a_known_node(topology: Topology) -> Iterator[Finding]:
    known = {node.endpoint for node in topology.nodes}
    for node in topology.replicas:
        if node.follows is not None and node.follows not in known:
            yield critical(
                "rogue",
                f"The replica {node.endpoint} follows {node.follows}, which no sentinel knows.",
                f"Run REPLICAOF {arguments_of(topology.named_master)} on {node.endpoint}."
                if points_at_a_master(topology)
                else WAIT,
            )


def _one_could_take_over(topology: Topology) -> Iterator[Finding]:
    unseen = [
        node for node in topology.replicas if not node.answers and not topology.is_seen_down(node.endpoint)
    ]
    if topology.named_master is None or (unseen and not topology.healthy_replicas):
        return
    if not topology.healthy_replicas:
        yield critical(
            "no-replica",
            f"No replica is in sync with the master {topology.named_master}.",
            unless_unsettled(
                topology,
                "Bring one back: until then nobody can take over, and writes that need a replica are refused.",
            ),
        )
    elif not topology.candidates:
        yield critical(
            "no-candidate",
            "Every replica in sync has replica-priority 0, so Sentinel would promote none.",
            "Set replica-priority 100 on them.",
        )


def _priorities_are_equal(topology: Topology) -> Iterator[Finding]:
    """Compare those that may be promoted: priority 0 keeps a node out on purpose."""
    priorities = {node.endpoint: node.priority for node in topology.nodes if node.priority}
    if len(set(priorities.values())) > 1:
        values = ", ".join(f"{endpoint} has {priority}" for endpoint, priority in priorities.items())
        yield warning(
            "unequal-priorities",
            f"The nodes differ in replica-priority, which counts for more than how much of the data one has: {values}.",
            "Set replica-priority 100 on all of them.",
            blocks_switchover=True,
        )


def _replicas_are_ready(topology: Topology) -> Iterator[Finding]:
    """Look at each one: Sentinel might promote what it takes for up; what it takes for down is only missed."""
    ready = {node.endpoint for node in topology.healthy_replicas}
    for node in topology.replicas:
        if not node.answers:
            yield warning(
                "replica-silent",
                f"The replica {silence(node)}{_since(node, topology)}",
                remedy_for(node, _bring_back(topology)),
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )
        elif node.role is Role.REPLICA and node.endpoint not in ready:
            yield warning(
                "replica-not-in-sync",
                f"The replica {node.endpoint} is not in sync: it follows {node.follows}, its link is {node.link!r}.",
                "Wait until it has caught up; if it does not, read its log.",
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )


def _since(node: NodeState, topology: Topology) -> str:
    down_for_s = topology.down_for_s(node.endpoint)
    if down_for_s is None:
        return ""
    hours, minutes = int(down_for_s) // 3600, int(down_for_s) // 60
    shown = f"{hours} h" if hours else f"{minutes} min" if minutes else f"{down_for_s:.0f} s"
    return f" The sentinels have taken it for down for {shown}."


def _bring_back(topology: Topology) -> str:
    """Return the remedy for a replica that is away: two, since nobody but its owner knows whether it should come back."""
    start = "Start it, or find out why it can't be reached."
    if topology.is_unsettled:  # a sentinel that is reset then forgets whom it could promote
        return start
    return (
        f"{start} If it was removed for good, have the sentinels forget it: SENTINEL RESET {topology.master_name} on one "
        "after the other, 30 s apart."
    )


CHECKS = (
    _all_follow_a_known_node,
    _one_could_take_over,
    _priorities_are_equal,
    _replicas_are_ready,
)
