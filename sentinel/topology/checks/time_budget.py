"""Whether Sentinel's times fit the deadline of a request, and outlast a TILT."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.time_budget import LONGEST_LINK_DOWN, RequestDeadline, TimeBudget, is_too_hasty
from sentinel.topology.findings import Finding, warning
from sentinel.topology.snapshot import Topology


def requests_outlast_an_outage(topology: Topology, deadline: RequestDeadline) -> Iterator[Finding]:
    """Compare what the slowest sentinel and node would take with how long a request waits."""
    times_ms = [each.down_after_ms for each in topology.answering if each.down_after_ms is not None]
    if not times_ms:
        return
    delays_s = [node.sync_delay_s for node in topology.nodes if node.sync_delay_s is not None]
    overdraft = TimeBudget(max(times_ms) / 1000, max(delays_s, default=0)).overdraft(deadline)
    if overdraft is not None:
        yield warning("time-budget", *overdraft)


def _replicas_can_be_promoted_after_tilt(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.answering:
        down_after_ms = sentinel.down_after_ms
        if down_after_ms is not None and is_too_hasty(down_after_ms / 1000):
            yield warning(
                "down-after",
                f"Sentinel {sentinel.endpoint} promotes no replica whose link was down for longer than "
                f"{LONGEST_LINK_DOWN} x down-after-milliseconds, which is {LONGEST_LINK_DOWN * down_after_ms / 1000:g} s: "
                "after a TILT, or after somebody's REPLICAOF, both of 30 s, no failover would come any more.",
                "Set down-after-milliseconds 4000 on every sentinel (SENTINEL SET).",
            )


CHECKS = (_replicas_can_be_promoted_after_tilt,)
