"""What fires, since when, and what is still to be told: pure, by the times it is given; kept in Redis as JSON.

An alert fires when its condition has held for a while, and is over when the condition has not held for a while; that
while doubles with each time that it comes back within an hour. So whatever flaps is told of ever more seldom.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Self

from verifier.alerts.catalogue import ALERTS, Alert, Conditions

log = logging.getLogger(__name__)

REMEMBERED_FOR_S = 3600.0
LONGEST_CLEAR_S = 600.0
# A condition that is gone for a moment before it fired counts as if it had held.
GAP_S = 5.0


class State(StrEnum):
    """What is told of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Pace:
    """How long things must last; in seconds. Tests are quicker."""

    clear_s: float = 30.0
    share_of_after: float = 1.0
    """What part of each alert's `after_s` is waited for."""


@dataclass
class Entry:
    """One alert that holds or has held; times are Unix times."""

    since: float
    sentence: str
    fired_at: float | None = None
    clear_since: float | None = None
    ended_at: float | None = None
    flaps: int = 0
    announced: bool = False
    """Whether somebody was surely told that it fires."""
    to_tell: State | None = None
    tries: int = 0
    try_at: float = 0.0
    decided_at: float = 0.0

    def decide(self, state: State, now: float) -> None:
        """Have this told from now on."""
        self.to_tell, self.tries, self.try_at, self.decided_at = state, 0, now, now

    def told(self) -> None:
        """Note that somebody was told."""
        self.announced = self.announced or self.to_tell is State.FIRING
        self.to_tell = None

    def give_up(self) -> None:
        """Note that it is not tried again."""
        self.to_tell = None


@dataclass
class Book:
    """All alerts of the service."""

    pace: Pace = field(default_factory=Pace)
    entries: dict[str, Entry] = field(default_factory=dict)
    master: str = ""
    """Who was the master at the last look."""

    def observe(self, conditions: Conditions, now: float) -> None:
        """Note what holds now."""
        for name, sentence in conditions.holding.items():
            self._holds(ALERTS[name], sentence, now)
        for name in [each for each in self.entries if each not in conditions.holding]:
            if name not in conditions.unknown:
                self._holds_not(name, self.entries[name], now)

    def firing(self) -> dict[str, Entry]:
        """Return what fires."""
        return {
            name: entry
            for name, entry in self.entries.items()
            if entry.fired_at is not None and entry.ended_at is None
        }

    def to_tell(self, now: float) -> Iterator[tuple[str, Entry]]:
        """Yield what is to be told now, the oldest first."""
        waiting = [(name, each) for name, each in self.entries.items() if each.to_tell and each.try_at <= now]
        yield from sorted(waiting, key=lambda each: each[1].decided_at)

    def without(self, other: Self) -> Self:
        """Return what only this one knows of: what fires here and not there, and what is still to be told of it."""
        own = {name: each for name, each in self.firing().items() if name not in other.firing()}
        return type(self)(self.pace, own, self.master)

    def _holds(self, alert: Alert, sentence: str, now: float) -> None:
        entry = self.entries.get(alert.name)
        if entry is None or entry.ended_at is not None or self._is_forgotten(entry, now):
            entry = self.entries[alert.name] = _begun_again(entry, sentence, now)
        entry.sentence, entry.clear_since = sentence, None
        if entry.fired_at is None and now - entry.since >= alert.after_s * self.pace.share_of_after:
            entry.fired_at = now
            entry.decide(State.FIRING, now)
            log.error("Alert %s: %s", alert.name, sentence)

    def _holds_not(self, name: str, entry: Entry, now: float) -> None:
        if entry.ended_at is not None:
            if entry.to_tell is None and now - entry.ended_at > REMEMBERED_FOR_S:
                del self.entries[name]
            return
        entry.clear_since = now if entry.clear_since is None else entry.clear_since
        if entry.fired_at is None:
            if self._is_forgotten(entry, now):
                del self.entries[name]
        elif now - entry.clear_since >= min(LONGEST_CLEAR_S, self.pace.clear_s * 2**entry.flaps):
            self._end(name, entry, now)

    def _is_forgotten(self, entry: Entry, now: float) -> bool:
        """Return whether it never fired and is long gone; whoever told before may not have lived to forget it."""
        gap_s = GAP_S * self.pace.share_of_after
        return entry.fired_at is None and entry.clear_since is not None and now - entry.clear_since > gap_s

    @staticmethod
    def _end(name: str, entry: Entry, now: float) -> None:
        entry.ended_at = now
        log.warning("Alert %s is over after %.0f s.", name, (entry.clear_since or now) - entry.since)
        if entry.to_tell is State.FIRING and entry.tries == 0:
            entry.give_up()  # nobody was told that it fires
        else:
            entry.decide(State.RESOLVED, now)

    def as_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(
            {"master": self.master, "entries": {name: asdict(each) for name, each in self.entries.items()}}
        )

    @classmethod
    def from_json(cls, text: str, pace: Pace) -> Self:
        """Read it; what is no book, or of another release, is an empty one."""
        try:
            said = json.loads(text or "{}")
            entries = {
                name: Entry(**{**each, "to_tell": State(each["to_tell"]) if each["to_tell"] else None})
                for name, each in said.get("entries", {}).items()
                if name in ALERTS
            }
            return cls(pace, entries, str(said.get("master", "")))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(pace)


def _begun_again(before: Entry | None, sentence: str, now: float) -> Entry:
    if before is None or before.ended_at is None or now - before.ended_at > REMEMBERED_FOR_S:
        return Entry(now, sentence)
    if before.to_tell is State.RESOLVED:
        # Nobody was told yet that it was over: so it was not.
        entry = Entry(
            before.since, sentence, before.fired_at, flaps=before.flaps + 1, announced=before.announced
        )
        if not before.announced:
            entry.decide(State.FIRING, now)
        return entry
    return Entry(now, sentence, flaps=before.flaps + 1)
