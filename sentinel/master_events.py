"""What a process hears of the master: moves, attempts that failed, restarts, somebody's REPLICAOF; kept until taken.

The watcher passes on what the sentinels announce, the connections tell of a rogue. The sentinels announce the same event
one after the other; here it is one. Whether an announced move is true is for the taker to find out: one sentinel may be
wrong, or in wrong hands.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint
from sentinel.protocol import address_in

# The words for an instance in Sentinel's messages: kind, name, host, port, and for others than masters whose they are
# (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Pub/Sub messages").
_WORDS_OF_MASTER = 4
# Nobody may be there to take them: a web process leaves that to the workers.
MOST_KEPT = 100
# The sentinels tell the same event some seconds apart; of an attempt they tell anew with each.
SAME_WITHIN_S = 30.0
# What was said before a move longer ago than this has nothing to do with it.
REASON_FRESH_FOR_S = 60.0

SEEN_DOWN, SEEN_UP = "+odown", "-odown"
FAILOVER_TRIED = "+try-failover"
REBOOTED = "+reboot"


class MasterEventKind(StrEnum):
    """What happened."""

    MOVED = "moved"
    ABORTED = "aborted"
    RESTARTED = "restarted"
    ROGUE = "rogue"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class MasterEvent:
    """One event; `old` and `new` are where the master was and where it is, or whom it was made to follow."""

    kind: MasterEventKind
    old: Endpoint | None
    new: Endpoint | None
    why: str
    sentinel: Endpoint | None
    """Who promoted, or gave up; None where that is not known."""
    heard_at: float
    """By the monotonic clock, in seconds."""
    by: str = ""
    """Who did it, where that was no sentinel."""


class MasterEvents:
    """The events of one process; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child: the parent's lock may have been held at that moment."""
        self._lock = threading.Lock()
        self._kept: deque[MasterEvent] = deque(maxlen=MOST_KEPT)
        self._said: dict[tuple[MasterEventKind, Endpoint | None, Endpoint | None, str], float] = {}
        self._seen_down: dict[Endpoint, tuple[float, str]] = {}
        self._tried_at: dict[Endpoint, float] = {}
        self._leader: tuple[Endpoint, float] | None = None

    def take(self) -> list[MasterEvent]:
        """Return what was heard since the last time, the oldest first."""
        with self._lock:
            taken = list(self._kept)
            self._kept.clear()
        return taken

    def announced(self, sentinel: Endpoint, channel: str, words: Sequence[str]) -> None:
        """Note what a sentinel said of the master in these words, without its name; other channels mean nothing here."""
        address = address_in(list(words[:2]))
        if address is None:
            return
        with self._lock:
            now = self._clock()
            if channel == SEEN_DOWN:
                self._seen_down[address] = (now, " ".join(words[2:]).removeprefix("#quorum "))
            elif channel == SEEN_UP:
                self._seen_down.pop(address, None)
            elif channel == FAILOVER_TRIED:
                self._tried_at[address] = now
            elif channel == REBOOTED:
                why = "its process was started anew"
                self._add(MasterEvent(MasterEventKind.RESTARTED, address, address, why, None, now))
            else:
                why = channel.removeprefix("-failover-abort-").replace("-", " ")
                self._add(MasterEvent(MasterEventKind.ABORTED, address, None, why, sentinel, now))

    def selected(self, sentinel: Endpoint) -> None:
        """Note that a sentinel chose a replica, and so leads a failover."""
        with self._lock:
            self._leader = (sentinel, self._clock())

    def moved(self, old: Endpoint | None, new: Endpoint) -> None:
        """Note that a sentinel announced a new master."""
        with self._lock:
            now = self._clock()
            leader = self._leader[0] if self._leader and self._is_fresh(self._leader[1], now) else None
            event = MasterEvent(MasterEventKind.MOVED, old, new, self._reason(old, now), leader, now)
            if self._add(event) and old is not None:
                self._seen_down.pop(old, None)
                self._tried_at.pop(old, None)
                self._leader = None

    def led_away(self, node: Endpoint, follows: Endpoint) -> None:
        """Note that somebody made the master a replica of a stranger."""
        with self._lock:
            why = "somebody gave it REPLICAOF, past the sentinels"
            self._add(MasterEvent(MasterEventKind.ROGUE, node, follows, why, None, self._clock()))

    def repaired(self, node: Endpoint, follows: Endpoint, by: str) -> None:
        """Note that this process gave the master its role back, and in whose name."""
        with self._lock:
            why = "given its role back without an operator"
            now = self._clock()
            self._add(MasterEvent(MasterEventKind.REPAIRED, follows, node, why, None, now, by))

    def _reason(self, old: Endpoint | None, now: float) -> str:
        """Say why the sentinels moved it, as far as they let us hear."""
        if old in self._seen_down:
            quorum = self._seen_down[old][1]
            agreed = f" ({quorum.replace('/', ' agreed, ')} needed)" if quorum else ""
            return f"the sentinels took it for down{agreed}"
        tried_at = self._tried_at.get(old) if old is not None else None
        if tried_at is not None and self._is_fresh(tried_at, now):
            return "a failover was ordered (SENTINEL FAILOVER)"
        return ""

    @staticmethod
    def _is_fresh(at: float, now: float) -> bool:
        return now - at < REASON_FRESH_FOR_S

    def _add(self, event: MasterEvent) -> bool:
        """Keep an event unless it was told a moment ago; return whether it is new."""
        told_by = event.why if event.kind is MasterEventKind.ABORTED else ""
        key = (event.kind, event.old, event.new, told_by)
        self._said = {each: at for each, at in self._said.items() if event.heard_at - at < SAME_WITHIN_S}
        if key in self._said:
            return False
        if event.kind is MasterEventKind.MOVED:
            # Back again is another move, however soon.
            self._said = {each: at for each, at in self._said.items() if each[0] is not event.kind}
        self._said[key] = event.heard_at
        self._kept.append(event)
        return True
