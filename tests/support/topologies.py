"""Topologies as tests want them, and what is told of them when a test fails."""

from __future__ import annotations

from sentinel import LocalOptions, LocalTopology

# Sentinel tries a failover that failed (a split vote, a replica that looked down for a moment) again after twice
# its failover-timeout; on a busy machine that happens.
FAILOVER_WITHIN_S = 90

QUICK = LocalOptions(down_after_ms=1000, failover_timeout_ms=3000, superuser=True)
"""Times that are shorter than the shipped ones, so that many failovers fit into a run of the tests."""

LINES_TOLD = 40


def logs_of(topology: LocalTopology) -> list[tuple[str, str]]:
    """Return the name and the end of the log of each process."""
    told = []
    for process in topology.processes:
        lines = process.log.read_text(errors="replace").splitlines() if process.log.exists() else []
        told.append((f"{process.name} at {process.endpoint}", "\n".join(lines[-LINES_TOLD:])))
    return told
