"""Judging a topology: pure, a snapshot in and findings out. One module a subject.

A check is a function from a snapshot to findings; write it into the module of its subject and name it in the CHECKS
there. A critical finding means that writes fail now or that the next failover would. `SENTINEL CKQUORUM` alone says
OK in several states where no failover would come, so it is one check among others.
"""

from __future__ import annotations

from sentinel.time_budget import RequestDeadline
from sentinel.topology.checks import (
    failover_state,
    master,
    names,
    node_settings,
    quorum,
    replicas,
    sentinel_settings,
    time_budget,
    writes,
)
from sentinel.topology.findings import Finding, Severity
from sentinel.topology.snapshot import Topology

_SUBJECTS = (
    quorum,
    sentinel_settings,
    time_budget,
    names,
    failover_state,
    master,
    writes,
    replicas,
    node_settings,
)


def findings_of(topology: Topology, deadline: RequestDeadline | None = None) -> list[Finding]:
    """Return what is wrong with a topology, and with how long requests wait for it; what is critical comes first."""
    found = [finding for subject in _SUBJECTS for check in subject.CHECKS for finding in check(topology)]
    if deadline is not None:
        found += time_budget.requests_outlast_an_outage(topology, deadline)
    return sorted(found, key=lambda finding: finding.severity is not Severity.CRITICAL)


def refusals_of(topology: Topology) -> list[Finding]:
    """Return what forbids a planned switchover."""
    return [finding for finding in findings_of(topology) if finding.blocks_switchover]
