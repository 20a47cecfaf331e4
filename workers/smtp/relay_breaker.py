"""When a relay that failed may be tried again.

Pure but for its own memory: every method takes `now`. Closed: everybody may send. Resting: nobody,
from 5 s doubling to 60 s, shortened by jitter. Then half-open: one caller at a time probes; its
success closes the breaker, its failure rests the relay for longer. Any mail a relay takes meanwhile
proves that it works and ends the rest. Not thread-safe: its owner holds the lock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

SHORTEST_REST_S = 5.0
LONGEST_REST_S = 60.0
JITTER = 0.3  # a rest is shortened by up to this share


class Pass(Enum):
    """What a caller was let through as."""

    FREE = auto()
    PROBE = auto()


@dataclass(slots=True)
class Breaker:
    """One relay's breaker."""

    jitter: Callable[[], float] = random.random
    failures: int = 0
    resting_until: float | None = None
    probing: bool = False

    def admit(self, now: float) -> Pass | None:
        """Let a caller through, after a rest as the one probe; None while the relay rests."""
        if self.resting_until is None:
            return Pass.FREE
        if self.probing or now < self.resting_until:
            return None
        self.probing = True
        return Pass.PROBE

    def worked(self) -> None:
        """The relay answered as a working relay does."""
        self.failures, self.resting_until, self.probing = 0, None, False

    def failed(self, now: float, by: Pass) -> bool:
        """The relay failed; True when that begins a rest, False for a straggler of the same failure."""
        if self.resting_until is not None and by is Pass.FREE:
            return False
        self.failures += 1
        rest_s = min(LONGEST_REST_S, SHORTEST_REST_S * 2 ** min(self.failures - 1, 10))
        self.resting_until = now + rest_s * (1 - JITTER * self.jitter())
        self.probing = False
        return True

    def gave_up(self, by: Pass) -> None:
        """A caller left without a verdict; if it was the probe, the next caller probes."""
        if by is Pass.PROBE:
            self.probing = False
