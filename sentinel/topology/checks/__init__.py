"""Judging a topology: pure, a snapshot in and findings out. One module a subject.

A check is a function from a snapshot to findings; write it into the module of its subject and name it in the CHECKS
there. A critical finding means that writes fail now or that the next failover would. `SENTINEL CKQUORUM` alone says
OK in several states where no failover would come, so it is one check among others.
"""

from __future__ import annotations

from sentinel.topology.checks import (
    failover_state,
    master,
    node_settings,
    quorum,
    replicas,
    sentinel_settings,
)
from sentinel.topology.findings import Finding, Severity
from sentinel.topology.snapshot import Topology

_SUBJECTS = (quorum, sentinel_settings, failover_state, master, replicas, node_settings)


def findings_of(topology: Topology) -> list[Finding]:
    """Return what is wrong with a topology; what is critical comes first."""
    found = [finding for subject in _SUBJECTS for check in subject.CHECKS for finding in check(topology)]
    return sorted(found, key=lambda finding: finding.severity is not Severity.CRITICAL)


def refusals_of(topology: Topology) -> list[Finding]:
    """Return what forbids a planned switchover."""
    return [finding for finding in findings_of(topology) if finding.blocks_switchover]
