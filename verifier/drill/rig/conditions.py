"""What a topology runs on: which server, and which of Sentinel's times, as they say themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from sentinel import Topology, TopologyError, shipped_times_ms

Value = TypeVar("Value")


@dataclass(frozen=True)
class Conditions:
    """The server and its version, and Sentinel's times in its own unit, milliseconds."""

    server: str
    down_after_ms: int
    failover_timeout_ms: int

    @property
    def are_shipped(self) -> bool:
        """Return whether the times are those that a deployment gets."""
        return (self.down_after_ms, self.failover_timeout_ms) == shipped_times_ms()

    def __str__(self) -> str:
        """Return the sentence for people."""
        times = f"{self.server}; down-after {self.down_after_ms} ms, failover-timeout {self.failover_timeout_ms} ms"
        if self.are_shipped:
            return f"{times}, as shipped."
        down_after_ms, failover_timeout_ms = shipped_times_ms()
        return f"{times}; shipped are {down_after_ms} ms and {failover_timeout_ms} ms (--shipped)."


def conditions_of(topology: Topology) -> Conditions:
    """Read them from a snapshot. Raises TopologyError where the servers differ in them, or do not tell."""
    return Conditions(
        _only((node.server for node in topology.nodes), "version"),
        _only((each.down_after_ms for each in topology.sentinels), "down-after"),
        _only((each.failover_timeout_ms for each in topology.sentinels), "failover-timeout"),
    )


def _only(values: Iterable[Value | None], what: str) -> Value:
    found = set(values)
    value = found.pop() if len(found) == 1 else None
    if value is None:
        raise TopologyError(f"The servers do not all tell one {what}: look at `flask sentinel status`.")
    return value
