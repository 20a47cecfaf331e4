"""The limits of a verification, all settings: how long it lives, how often it may be checked and sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The limits; durations in seconds."""

    code_digits: int = 6
    lifetime_s: float = 600
    max_check_attempts: int = 5
    resend_after_s: float = 30
    resend_growth: float = 2
    max_sends: int = 5

    def resend_wait_s(self, sends: int) -> float:
        """Return how long after the newest of `sends` sends (1 or more) the next one may be asked for."""
        return float(self.resend_after_s * self.resend_growth ** (sends - 1))
