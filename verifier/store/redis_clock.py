"""Redis's clock as a process knows it: the one by which everything that lives and dies in Redis is judged.

Each answer of a script carries Redis's time; what passes until somebody asks is measured by this host's monotonic
clock. So neither a host whose clock is wrong nor one whose clock is set meanwhile judges a code by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class RedisClock:
    """Redis's time of this moment; safe for threads, which only ever replace one number."""

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Go by this host's clock until Redis has said what time it is."""
        self._monotonic = monotonic
        self._ahead_s = wall() - monotonic()

    def __call__(self) -> float:
        """Return the Unix time by Redis's clock, in seconds."""
        return self._monotonic() + self._ahead_s

    def learn(self, redis_time_s: float) -> None:
        """Take note of what Redis just said."""
        self._ahead_s = redis_time_s - self._monotonic()
