"""The circuit breaker: when an outage lasts, nobody is kept waiting, and one caller at a time looks again.

Pure but for a lock: the clock is given. Closed: everybody tries. After `opens_after_s` seconds without one
success it opens: callers are refused at once, except for one probe every `probe_every_s` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sentinel.errors import CircuitOpen


class Breaker:
    """Whether it is worth trying; times in seconds; safe for threads."""

    def __init__(
        self, opens_after_s: float, probe_every_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._opens_after_s = opens_after_s
        self._probe_every_s = probe_every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._down_since: float | None = None
        self._next_probe_at = 0.0

    def admit(self) -> None:
        """Let the caller try, or raise CircuitOpen."""
        with self._lock:
            now = self._clock()
            if self._down_since is None or now - self._down_since < self._opens_after_s:
                return
            if now >= self._next_probe_at:
                self._next_probe_at = now + self._probe_every_s
                return
            down_for_s = now - self._down_since
        raise CircuitOpen(f"Redis has not answered for {down_for_s:.0f} s.")

    def worked(self) -> None:
        """Note a success: the circuit is closed."""
        if self._down_since is not None:
            with self._lock:
                self._down_since = None

    def failed(self) -> None:
        """Note a failure."""
        with self._lock:
            if self._down_since is None:
                self._down_since = self._clock()

    def reconsider(self) -> None:
        """Let the next caller through: there is a reason to try again."""
        with self._lock:
            self._next_probe_at = 0.0
