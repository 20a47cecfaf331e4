"""Whether a failover is under way or has just been, or the sentinels only look on."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.checks.waiting import WAIT
from sentinel.topology.findings import Finding, warning
from sentinel.topology.snapshot import Topology


def _no_failover_is_under_way(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.answering:
        if sentinel.leads_failover:
            yield warning(
                "failover-in-progress",
                f"Sentinel {sentinel.endpoint} is leading a failover just now.",
                WAIT,
                blocks_switchover=True,
            )
        if sentinel.flags & {"s_down", "o_down"}:
            yield warning(
                "master-seen-down",
                f"Sentinel {sentinel.endpoint} believes that the master {sentinel.master} is down.",
                "Wait for the failover that follows, or find out why this sentinel can't reach it.",
                blocks_switchover=True,
            )


def _last_failover_is_known(topology: Topology) -> Iterator[Finding]:
    """Look for what undoes a second failover soon after a first.

    A sentinel asks replicas for their role each ten seconds. One that still believes that a demoted master is a
    master sends it back (`+convert-to-slave`) as soon as it hears the same again, newly promoted or not.
    """
    for sentinel in topology.answering:
        for known in sentinel.replicas:
            if known.reported is Role.MASTER and not known.is_down:
                yield warning(
                    "sentinel-behind",
                    f"Sentinel {sentinel.endpoint} has not noticed yet that {known.endpoint} is a replica now.",
                    "Try again in ten seconds.",
                    blocks_switchover=True,
                )


def _no_sentinel_is_in_tilt(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.answering:
        if sentinel.tilt:
            yield warning(
                "tilt",
                f"Sentinel {sentinel.endpoint} is in TILT: its clock jumped or it was stopped for a moment, so it does nothing.",
                "It ends after 30 s; if it comes again, check the clock and the load of its machine.",
                blocks_switchover=True,
            )


CHECKS = (
    _no_failover_is_under_way,
    _last_failover_is_known,
    _no_sentinel_is_in_tilt,
)
