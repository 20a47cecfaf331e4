"""Waiting: exponential, jittered, capped. A random source can be given, so that tests need no luck."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """How long to wait before the next attempt, in seconds.

    The n-th wait is drawn from the upper half of `first * 2**n`, capped at `cap`: many processes that
    lost the same master spread out, and none of them comes back at once.
    """

    def __init__(self, first_s: float, cap_s: float, draw: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._attempts = 0

    def next_s(self) -> float:
        """Return the next wait, in seconds."""
        ceiling = min(self._cap_s, self._first_s * 2 ** min(self._attempts, 30))
        self._attempts += 1
        return float(ceiling * (0.5 + 0.5 * self._draw()))

    def reset(self) -> None:
        """Start again from the first wait, after a success or when something has changed."""
        self._attempts = 0
