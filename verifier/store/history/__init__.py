"""What happened to the master, when, from where to where, and by whom: kept in Redis, for operators.

The sentinels tell several workers the same event, and a planned move is told by the command that ordered it, too: one
atomic step (lua/history.lua) makes one entry of them. It is bounded in number and in age, and is written although Redis
is full. It holds no address of anybody and no secret.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis import Redis

from sentinel import Endpoint, parse_endpoint
from verifier.store import keyspace
from verifier.store.scripts import Argument, Step, load_script, run_steps

HISTORY = load_script("history", "clock", "full")

MOST_EVENTS = 500
LIFE_S = 180 * 86400.0
# What a sentinel or an error says is somebody else's text.
LONGEST_TEXT = 300


class EventKind(StrEnum):
    """What happened."""

    FAILOVER = "failover"
    """The sentinels made another node the master: by themselves, or because somebody ordered it."""
    SWITCHOVER = "switchover"
    """`flask sentinel switchover` moved it."""
    SWITCHOVER_FAILED = "switchover-failed"
    """It was begun and given up."""
    FAILOVER_ABORTED = "failover-aborted"
    """The sentinels tried, and promoted nobody."""
    RESTART = "restart"
    """The master's process was started anew before anybody took over from it."""
    ROGUE = "rogue"
    """Somebody made the master a replica of a stranger, past the sentinels."""
    REPAIR = "repair"
    """It was given its role back."""

    @property
    def moves_master(self) -> bool:
        """Return whether another node is the master afterwards."""
        return self in {EventKind.FAILOVER, EventKind.SWITCHOVER}


# The sentinels tell the same event some seconds apart, and of an abort anew with each attempt; in seconds.
_SAME_WITHIN_S = {
    EventKind.FAILOVER: 30.0,
    EventKind.SWITCHOVER: 60.0,
    EventKind.SWITCHOVER_FAILED: 1.0,
    EventKind.FAILOVER_ABORTED: 3600.0,
    EventKind.RESTART: 30.0,
    EventKind.ROGUE: 60.0,
    EventKind.REPAIR: 5.0,
}


@dataclass(frozen=True)
class HistoryEvent:
    """One event; `old` and `new` are the nodes from which and to which the master moved, or was led."""

    kind: EventKind
    old: Endpoint | None
    new: Endpoint | None
    why: str = ""
    """Why, in a few words; empty where nobody knows."""
    by: str = ""
    """Who did it: a sentinel, a person on a host, a worker; empty where nobody knows."""
    at: float = 0.0
    """Unix time by Redis's clock, in seconds; 0 until it was read from there."""
    epoch: int | None = None
    """Of a move, the version of the sentinels' configuration that it made; it tells one move from another."""


def record_event(client: Redis, event: HistoryEvent, *, age_s: float = 0.0) -> bool:
    """Write an event that happened `age_s` seconds ago; return whether nobody had written it yet.

    Safe to repeat. Raises TransientError, PermanentError or Backpressure.
    """
    arguments: list[Argument] = [
        event.kind.value,
        str(event.old or ""),
        str(event.new or ""),
        event.why[:LONGEST_TEXT],
        event.by[:LONGEST_TEXT],
        "" if event.epoch is None else event.epoch,
        max(0.0, age_s),
        _SAME_WITHIN_S[event.kind],
        MOST_EVENTS,
        LIFE_S,
    ]
    result: bytes = run_steps(client, [Step(HISTORY, [keyspace.HISTORY], arguments)], None)[0]
    return result == b"recorded"


def read_history(client: Redis, limit: int = 50) -> list[HistoryEvent]:
    """Return the newest events, the newest first. Raises as `record_event` does."""
    if limit < 1:
        return []
    texts: Any = client.zrange(keyspace.HISTORY, -limit, -1)
    return [event for text in reversed(texts) if (event := _event_in(text)) is not None]


def newest_move(events: list[HistoryEvent]) -> HistoryEvent | None:
    """Return the newest event that made another node the master."""
    return next((event for event in events if event.kind.moves_master), None)


def _event_in(text: Any) -> HistoryEvent | None:
    """Read an event; None where it is none, as a later release may write it."""
    try:
        said = json.loads(text)
        epoch = said.get("epoch", "")
        return HistoryEvent(
            EventKind(said["kind"]),
            _endpoint_in(said["from"]),
            _endpoint_in(said["to"]),
            str(said["why"]),
            str(said["by"]),
            float(said["at"]),
            int(epoch) if epoch else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _endpoint_in(text: str) -> Endpoint | None:
    with suppress(ValueError):
        return parse_endpoint(text, 6379)
    return None
