"""Judging a topology: pure, a snapshot in and findings out.

A critical finding means that writes fail now or that the next failover would. `SENTINEL CKQUORUM` alone says OK
in several states where no failover would come, so it is one check among others.
"""

from __future__ import annotations

from sentinel.endpoints import Endpoint
from sentinel.topology import checks_nodes, checks_sentinels
from sentinel.topology.findings import Finding, Severity, critical
from sentinel.topology.snapshot import Topology

_CHECKS = (*checks_sentinels.CHECKS, *checks_nodes.CHECKS)

__all__ = ["Finding", "Severity", "findings_of", "no_room_for_orders", "orders_refused", "refusals_of"]


def findings_of(topology: Topology) -> list[Finding]:
    """Judge a snapshot; what is critical comes first."""
    found = [finding for check in _CHECKS for finding in check(topology)]
    return sorted(found, key=lambda finding: finding.severity is not Severity.CRITICAL)


def refusals_of(topology: Topology) -> list[Finding]:
    """Give what forbids a planned switchover."""
    return [finding for finding in findings_of(topology) if finding.blocks_switchover]


def orders_refused(master: Endpoint, why: str) -> Finding:
    """Say that a switchover would get stuck because the master does not take our orders."""
    return critical(
        "orders-refused",
        f"The master {master} would not take a switchover's orders from our user: {why.rstrip('. ')}.",
        "Set the operators' user in the settings, or give this user its rights.",
    )


def no_room_for_orders(master: Endpoint) -> Finding:
    """Say that the master takes no transaction, as one with a full memory does."""
    return critical(
        "no-room",
        f"The master {master} has its memory full, and takes no transaction then, not even the one that makes it a "
        "replica.",
        "Raise its maxmemory, or wait until there is room.",
    )
