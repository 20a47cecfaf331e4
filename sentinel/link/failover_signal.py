"""What the threads of a process know of the master's moves, and where they wait for the next one.

The watcher announces; connections, retries and the worker's loops wait. Without a watcher nothing is
announced and every wait simply lasts its full time.
"""

from __future__ import annotations

import random
import threading
import time

# Promotion takes about a second; a hold that is never ended must not refuse writes for longer than this.
HOLD_LIMIT_S = 1.5
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
        self._held_until = 0.0
        self._announced_at = -FRESH_FOR_S

    def count(self) -> int:
        """Return how many moves were announced so far, to be passed to `wait`."""
        with self._condition:
            return self._count

    def announce(self, *, ends_hold: bool = True) -> None:
        """Wake everybody who waits: the master moved, or there is a reason to try again."""
        with self._condition:
            self._count += 1
            self._announced_at = time.monotonic()
            if ends_hold:
                self._held_until = 0.0
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until a move after `seen` is announced; return whether one was within `timeout_s` seconds.

        Just after a move the wait is short, whatever was asked for: the new master has no replica yet and
        refuses writes for a moment.
        """
        with self._condition:
            if time.monotonic() - self._announced_at < FRESH_FOR_S:
                timeout_s = min(timeout_s, FRESH_WAIT_S * (0.5 + random.random()))
            return self._condition.wait_for(lambda: self._count != seen, timeout_s)

    def hold(self) -> None:
        """Hold writes: what the old master still accepts from now on would be lost."""
        with self._condition:
            self._held_until = time.monotonic() + HOLD_LIMIT_S

    def release(self) -> None:
        """End a hold: nobody is being promoted."""
        with self._condition:
            self._held_until = 0.0
            self._condition.notify_all()

    def wait_while_held(self) -> None:
        """Wait until writes are no longer held, at most HOLD_LIMIT_S seconds."""
        if self._held_until == 0.0:  # a lock on each command would cost more than it protects
            return
        with self._condition:
            while (remaining_s := self._held_until - time.monotonic()) > 0:
                self._condition.wait(remaining_s)
            self._held_until = 0.0
