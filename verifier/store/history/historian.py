"""Carries what a process hears of the master into the history: what it hears is kept until Redis takes it.

A move that a sentinel announced counts once a majority of the sentinels names that master, or the move away from it was
heard of, too. A move that nobody was there to hear of is found when the master is another one than the history's last.
Each worker does this; the history makes one entry of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sentinel import Endpoint, MasterEvent, MasterEventKind, MasterLink
from verifier.store.history import EventKind, HistoryEvent, newest_move, read_history, record_event

MOST_PENDING = 100
# A move that no majority confirms within so many seconds is none.
CONFIRMED_WITHIN_S = 30.0
ASK_WITHIN_S = 1.0
# Whoever heard a move announced tells of it first, since they know more of it.
UNHEARD_AFTER_S = 5.0
LOOK_BACK = 50

_KINDS = {
    MasterEventKind.MOVED: EventKind.FAILOVER,
    MasterEventKind.ABORTED: EventKind.FAILOVER_ABORTED,
    MasterEventKind.RESTARTED: EventKind.RESTART,
    MasterEventKind.ROGUE: EventKind.ROGUE,
    MasterEventKind.REPAIRED: EventKind.REPAIR,
}


@dataclass
class _Pending:
    event: MasterEvent
    confirmed: bool
    epoch: int | None = None

    def entry(self) -> HistoryEvent:
        by = f"sentinel {self.event.sentinel}" if self.event.sentinel else self.event.by
        kind = _KINDS[self.event.kind]
        return HistoryEvent(kind, self.event.old, self.event.new, self.event.why, by, epoch=self.epoch)


class Historian:
    """One process's share of the history; `run` it each second from one thread."""

    def __init__(self, link: MasterLink, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._pending: list[_Pending] = []
        self._seen: Endpoint | None = None
        self._look_at: float | None = None

    def run(self) -> None:
        """Write what was heard since the last time, and before where that could not be written.

        Raises:
            TransientError, PermanentError, Backpressure: Redis does not take it now; it is kept.
        """
        heard = self._link.events.take()
        self._pending += [_Pending(each, each.kind is not MasterEventKind.MOVED) for each in heard]
        del self._pending[:-MOST_PENDING]
        self._confirm()
        for each in [each for each in self._pending if each.confirmed]:
            record_event(self._link.redis, each.entry(), age_s=self._clock() - each.event.heard_at)
            self._pending.remove(each)
        self._find_unheard_move()

    def _confirm(self) -> None:
        moves = [each for each in self._pending if not each.confirmed]
        if not moves:
            return
        named = self._link.directory.named_by_majority(ASK_WITHIN_S)
        for each in moves:
            if each.event.new == named:
                each.confirmed, each.epoch = True, self._link.config_epoch(ASK_WITHIN_S)
            elif any(later.event.old == each.event.new for later in moves if later is not each):
                each.confirmed = True
            elif self._clock() - each.event.heard_at > CONFIRMED_WITHIN_S:
                self._pending.remove(each)

    def _find_unheard_move(self) -> None:
        """Compare the master with the history's last one, a moment after this process found another one."""
        master = self._link.directory.last_master
        if master is not None and master != self._seen:
            self._seen, self._look_at = master, self._clock() + UNHEARD_AFTER_S
        if self._look_at is None or self._clock() < self._look_at:
            return
        last = newest_move(read_history(self._link.redis, LOOK_BACK))
        named = self._link.directory.named_by_majority(ASK_WITHIN_S)
        if last is not None and named is not None and last.new != named:
            why = "found later: no worker heard of it when it happened"
            epoch = self._link.config_epoch(ASK_WITHIN_S)
            record_event(
                self._link.redis, HistoryEvent(EventKind.FAILOVER, last.new, named, why, epoch=epoch)
            )
        self._look_at = None
