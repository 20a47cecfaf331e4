"""Findings about the data nodes: who is the master, who follows whom, who could take over, and the settings."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.findings import Finding, critical, remedy_for, right_missing, silence, warning, words
from sentinel.topology.snapshot import NodeState, Topology


def _the_master_is_one(topology: Topology) -> Iterator[Finding]:
    master = topology.master
    if master is None:
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
        yield critical(
            "rogue",
            f"{master.endpoint} is a replica of {master.follows}, though the sentinels name it as the master: a "
            "failover is just ending, or somebody gave it REPLICAOF.",
            f"If it lasts, run REPLICAOF NO ONE on {master.endpoint} now: Sentinel takes half a minute, in which a "
            "stranger's data may replace all copies.",
        )


def _nobody_else_is_master(topology: Topology) -> Iterator[Finding]:
    for node in topology.replicas:
        if node.role is Role.MASTER:
            yield critical(
                "two-masters",
                f"{node.endpoint} says that it is a master, though the sentinels name {topology.named_master}.",
                "Back from a crash, Sentinel makes it a replica within some ten seconds; if it does not, run REPLICAOF "
                f"{words(topology.named_master)} on it. What was written to it alone is lost.",
            )


def _nobody_follows_a_stranger(topology: Topology) -> Iterator[Finding]:
    known = {node.endpoint for node in topology.nodes}
    for node in topology.replicas:
        if node.follows is not None and node.follows not in known:
            yield critical(
                "rogue",
                f"The replica {node.endpoint} follows {node.follows}, which no sentinel knows.",
                f"Run REPLICAOF {words(topology.named_master)} on {node.endpoint}.",
            )


def _somebody_could_take_over(topology: Topology) -> Iterator[Finding]:
    unseen = [
        node for node in topology.replicas if not node.answers and not topology.is_seen_down(node.endpoint)
    ]
    if topology.named_master is None or (unseen and not topology.healthy_replicas):
        return
    if not topology.healthy_replicas:
        yield critical(
            "no-replica",
            f"No replica is in sync with the master {topology.named_master}.",
            "Bring one back: until then nobody can take over, and writes that need a replica are refused.",
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
        told = ", ".join(f"{endpoint} has {priority}" for endpoint, priority in priorities.items())
        yield warning(
            "unequal-priorities",
            f"The nodes differ in replica-priority, which counts for more than how much of the data one has: {told}.",
            "Set replica-priority 100 on all of them.",
            blocks_switchover=True,
        )


def _replicas_are_ready(topology: Topology) -> Iterator[Finding]:
    """One that Sentinel takes for up might be chosen; one that it takes for down is only missed."""
    ready = {node.endpoint for node in topology.healthy_replicas}
    for node in topology.replicas:
        if not node.answers:
            yield warning(
                "replica-silent",
                f"The replica {silence(node)}",
                remedy_for(node, "Start it, or look why it can't be reached."),
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )
        elif node.role is Role.REPLICA and node.endpoint not in ready:
            yield warning(
                "replica-not-in-sync",
                f"The replica {node.endpoint} is not in sync: it follows {node.follows}, its link is {node.link!r}.",
                "Wait until it has caught up; if it does not, read its log.",
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )


def _settings_keep_data(topology: Topology) -> Iterator[Finding]:
    for node in topology.nodes:
        if node.appendonly is False:
            yield _setting(node, "appendonly no", "restarted, it has forgotten everything", "appendonly yes")
        if node.min_replicas_to_write == 0 and topology.replicas:
            consequence = "cut off from the others, it goes on taking writes that will be lost"
            yield _setting(node, "min-replicas-to-write 0", consequence, "min-replicas-to-write 1")
        if node.maxmemory_policy not in {None, "noeviction"}:
            found = f"maxmemory-policy {node.maxmemory_policy}"
            consequence = "with its memory full, it throws mails away in silence"
            yield _setting(node, found, consequence, "maxmemory-policy noeviction")


def _settings_may_be_asked(topology: Topology) -> Iterator[Finding]:
    silent = [node.endpoint for node in topology.nodes if "config|get" in node.missing_rights]
    if silent:
        yield right_missing(silent, "config|get", "the settings")


def _setting(node: NodeState, found: str, consequence: str, wanted: str) -> Finding:
    message = f"{node.endpoint} is set to {found}: {consequence}."
    return warning("setting", message, f"Write {wanted} into its redis.conf.")


CHECKS = (
    _the_master_is_one,
    _nobody_else_is_master,
    _nobody_follows_a_stranger,
    _somebody_could_take_over,
    _priorities_are_equal,
    _replicas_are_ready,
    _settings_keep_data,
    _settings_may_be_asked,
)
