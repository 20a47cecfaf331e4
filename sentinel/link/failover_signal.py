"""What the threads of a process know of the master's moves, and where they wait for the next one.

The watcher announces; connections, retries and the worker's loops wait. Without a watcher nothing is
announced and every wait simply lasts its full time.
"""

from __future__ import annotations

import random
import threading
import time

from sentinel.deadline import remaining_s
from sentinel.endpoints import Endpoint
from sentinel.errors import DeadlinePassed

# Promotion takes about a second, some more where the replica stalls. Without a switch writes are not held for
# longer than this in all, however many sentinels say whatever; then for a while not at all.
HOLD_LIMIT_S = 5.0
NO_HOLD_FOR_S = 10.0
FRESH_FOR_S = 2.0
FRESH_WAIT_S = 0.08


class FailoverSignal:
    """Counts moves of the master, and holds writes while a replica is being promoted; safe for threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child: the parent's lock may have been held at that moment."""
        self._condition = threading.Condition()
        self._count = 0
        self._announced_at = -FRESH_FOR_S
        self._held_since = self._held_until = 0.0
        self._held_master: Endpoint | None = None
        self._holders: set[Endpoint | None] = set()
        self._granted_s, self._granted_anew_at = HOLD_LIMIT_S, 0.0

    def count(self) -> int:
        """Return how many moves were announced so far, to be passed to `wait`."""
        with self._condition:
            return self._count

    def announce(self, *, ends_hold: bool = True) -> None:
        """Wake everybody who waits: the master moved, or (without `ends_hold`) there is a reason to try again."""
        with self._condition:
            self._count += 1
            self._announced_at = time.monotonic()
            if ends_hold:
                self._end_hold()
                self._granted_s = HOLD_LIMIT_S
            self._condition.notify_all()

    def moved_to(self, master: Endpoint) -> None:
        """Announce who is the master; a hold ends where that is another one than when it began."""
        with self._condition:
            ends_hold = self._held_master is not None and master != self._held_master
        self.announce(ends_hold=ends_hold)

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until a move after `seen` is announced; return whether one was within `timeout_s` seconds.

        Just after a move the wait is short, whatever was asked for: the new master has no replica yet and
        refuses writes for a moment.
        """
        with self._condition:
            if time.monotonic() - self._announced_at < FRESH_FOR_S:
                timeout_s = min(timeout_s, FRESH_WAIT_S * (0.5 + random.random()))
            return self._condition.wait_for(lambda: self._count != seen, timeout_s)

    def hold(self, holder: Endpoint | None = None, master: Endpoint | None = None) -> None:
        """Hold writes: what the old master still accepts from now on would be lost.

        Saying it again renews nothing, so that nobody can hold writes without end.

        Args:
            holder: the sentinel that leads the failover; None is this process itself.
            master: the master at this moment, as far as it is known.
        """
        with self._condition:
            now = time.monotonic()
            if now >= self._held_until:
                self._end_hold()
                if now >= self._granted_anew_at:
                    self._granted_s = HOLD_LIMIT_S
                if not self._granted_s:
                    return
                self._held_since, self._held_until = now, now + self._granted_s
            self._holders.add(holder)
            self._held_master = self._held_master or master

    def release(self, holder: Endpoint | None = None) -> None:
        """End a hold as far as `holder` is concerned: nobody is being promoted there, or no longer."""
        with self._condition:
            self._holders.discard(holder)
            if not self._holders:
                self._end_hold()
                self._condition.notify_all()

    @property
    def is_held(self) -> bool:
        """Return whether writes are held, as far as can be told without a lock."""
        return self._held_until != 0.0

    def wait_while_held(self) -> None:
        """Wait until writes are no longer held, at most HOLD_LIMIT_S seconds.

        Raises:
            DeadlinePassed: the request has no more time.
        """
        if self._held_until == 0.0:  # a lock on each command would cost more than it protects
            return
        with self._condition:
            while (held_s := self._held_until - time.monotonic()) > 0:
                left_s = remaining_s()
                if left_s == 0.0:
                    raise DeadlinePassed(
                        "A replica is taking over as the master, and the request had no time left to wait for it."
                    )
                self._condition.wait(held_s if left_s is None else min(held_s, left_s))
            self._end_hold()

    def _end_hold(self) -> None:
        """Forget the hold, and take its time off what may still be held until there was none for a while."""
        if self._held_until:
            ended_at = min(time.monotonic(), self._held_until)
            self._granted_s = max(0.0, self._granted_s - (ended_at - self._held_since))
            self._granted_anew_at = ended_at + NO_HOLD_FOR_S
        self._held_since = self._held_until = 0.0
        self._held_master = None
        self._holders.clear()
