"""A finding: one thing that is wrong with a topology, with its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint
from sentinel.topology.snapshot import NodeState


class Severity(StrEnum):
    """Critical: writes fail now, or the next failover would. Warning: it should be looked after."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """A name for programs; for people what is wrong, where, and what to do now."""

    code: str
    severity: Severity
    message: str
    remedy: str
    blocks_switchover: bool = False
    """Some findings are harmless in everyday life, but no ground to switch over on."""
    repairable: bool = False
    """Whether the repair of the switchover room is the remedy (sentinel/switchover/repair.py)."""

    def __str__(self) -> str:
        """Return what is wrong and the remedy, as people read them."""
        return f"{self.message} {self.remedy}"


def critical(code: str, message: str, remedy: str) -> Finding:
    """Make a critical finding; each of them forbids a switchover."""
    return Finding(code, Severity.CRITICAL, message, remedy, blocks_switchover=True)


def warning(code: str, message: str, remedy: str, *, blocks_switchover: bool = False) -> Finding:
    """Make a warning."""
    return Finding(code, Severity.WARNING, message, remedy, blocks_switchover)


def right_missing(
    whom: Iterable[Endpoint], right: str, what: str, *, blocks_switchover: bool = False
) -> Finding:
    """Make the warning that we may not ask some processes for something."""
    return warning(
        "right-missing",
        f"We may not ask {', '.join(map(str, whom))} {what}: our user lacks the right +{right}.",
        "Set the operators' users in the settings, or give this user the right.",
        blocks_switchover=blocks_switchover,
    )


def silence(state: NodeState) -> str:
    """Return the sentence for a node that gives no information, which begins with its address."""
    return f"{state.endpoint} gives no information: {(state.error or 'no reason is known').rstrip('. ')}."


def remedy_for(state: NodeState, remedy: str) -> str:
    """Return the remedy for a silent node; where it refused us, its error says already what to do."""
    return "Until then nothing more is known of it." if state.refused else remedy


def arguments_of(endpoint: Endpoint | None) -> str:
    """Return an endpoint as Redis's commands take it: host and port, or a placeholder."""
    return f"{endpoint.host} {endpoint.port}" if endpoint else "HOST PORT"
