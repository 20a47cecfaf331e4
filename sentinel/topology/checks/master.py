"""Whether there is one master, and it is the one that the sentinels name."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.findings import Finding, arguments_of, critical, remedy_for, silence
from sentinel.topology.snapshot import Topology


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
        yield critical(
            "rogue",
            f"{master.endpoint} is a replica of {master.follows}, though the sentinels name it as the master: a "
            "failover is just ending, or somebody gave it REPLICAOF.",
            f"If it lasts, run REPLICAOF NO ONE on {master.endpoint} now: Sentinel takes half a minute, in which a "
            "stranger's data may replace all copies.",
        )


def _no_other_is_master(topology: Topology) -> Iterator[Finding]:
    for node in topology.replicas:
        if node.role is Role.MASTER:
            yield critical(
                "two-masters",
                f"{node.endpoint} says that it is a master, though the sentinels name {topology.named_master}.",
                "Back from a crash, Sentinel makes it a replica within some ten seconds; if it does not, run REPLICAOF "
                f"{arguments_of(topology.named_master)} on it. What was written to it alone is lost.",
            )


CHECKS = (
    _named_master_is_one,
    _no_other_is_master,
)
