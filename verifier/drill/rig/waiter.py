"""Waiting in the drill's own thread: for a condition, at most so long, while the progress is displayed."""

from __future__ import annotations

import time
from collections.abc import Callable

TICK_S = 0.05


class Waiter:
    """Waits, and calls each tick all the while."""

    def __init__(self, *ticks: Callable[[], None]) -> None:
        self._ticks = ticks

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; False when `timeout_s` seconds were not enough."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= deadline:
                return False
            for tick in self._ticks:
                tick()
            time.sleep(TICK_S)
        return True

    def for_s(self, duration_s: float) -> None:
        """Let time pass."""
        self.until(lambda: False, duration_s)
