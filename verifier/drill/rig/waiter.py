"""Waiting in the drill's own thread: for a condition, at most so long, while the progress is displayed."""

from __future__ import annotations

from collections.abc import Callable

from sentinel import wait_for

TICK_S = 0.05


class Waiter:
    """Waits, and calls each tick all the while."""

    def __init__(self, *ticks: Callable[[], None]) -> None:
        self._ticks = ticks

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; False when `timeout_s` seconds were not enough."""

        def done() -> bool:
            for tick in self._ticks:
                tick()
            return condition()

        return wait_for(done, timeout_s, TICK_S)

    def for_s(self, duration_s: float) -> None:
        """Let time pass."""
        self.until(lambda: False, duration_s)
