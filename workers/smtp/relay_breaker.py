"""When a relay that failed may be asked again.

This is no `sentinel.link.breaker`: that one guards the way to the one master and fails requests fast;
this one takes a single relay out of turn while others send, and has a cooldown that grows and a probe.

Pure but for its own state: every method takes `now`. Closed: everybody may send. Open: nobody, for a
cooldown of 5 s doubling to 60 s, shortened by jitter. Then half-open: one caller at a time probes; its
success closes the breaker, its failure begins a longer cooldown. Any mail a relay takes meanwhile
proves that it works and closes the breaker. Not thread-safe: its owner holds the lock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

SHORTEST_COOLDOWN_S = 5.0
LONGEST_COOLDOWN_S = 60.0
JITTER = 0.3  # a cooldown is shortened by up to this share


class Pass(Enum):
    """What a caller was let through as."""

    FREE = auto()
    PROBE = auto()


@dataclass(slots=True)
class RelayBreaker:
    """One relay's breaker."""

    jitter: Callable[[], float] = random.random
    failures: int = 0
    open_until: float | None = None
    probing: bool = False

    def admit(self, now: float) -> Pass | None:
        """Let a caller through, after a cooldown as the one probe; None while nobody may send."""
        if self.open_until is None:
            return Pass.FREE
        if self.probing or now < self.open_until:
            return None
        self.probing = True
        return Pass.PROBE

    def worked(self) -> None:
        """Note that the relay answered as a working relay does."""
        self.failures, self.open_until, self.probing = 0, None, False

    def failed(self, now: float, by: Pass) -> bool:
        """Note a failure; return whether it begins a cooldown, which further callers of one failure do not."""
        if self.open_until is not None and by is Pass.FREE:
            return False
        self.failures += 1
        cooldown_s = min(LONGEST_COOLDOWN_S, SHORTEST_COOLDOWN_S * 2 ** min(self.failures - 1, 10))
        self.open_until = now + cooldown_s * (1 - JITTER * self.jitter())
        self.probing = False
        return True

    def gave_up(self, by: Pass) -> None:
        """Note that a caller left without a result; if it was the probe, the next caller probes."""
        if by is Pass.PROBE:
            self.probing = False
