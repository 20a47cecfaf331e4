"""A clock for tests."""

from __future__ import annotations


class Clock:
    """A clock that stands still until it is moved; seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
