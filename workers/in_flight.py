"""The claims in flight of one worker: from when they were made until they are settled.

As long as a claim is in here its lease is renewed, and it is known until when the lease surely lasts, by this host's
monotonic clock: whoever is about to send asks. Their number is bounded, so that a slow relay or an absent Redis holds
back the queue instead of filling the memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from verifier.store.deliveries import LEASE_S, Claim, LeaseState

# A mail that is about to leave needs some time for it: the lease must last for so much longer.
MARGIN_S = 1.0

_Key = tuple[str, int, str]


class InFlight:
    """The claims of one process; safe for threads."""

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._condition = threading.Condition()
        self._claims: dict[_Key, Claim] = {}
        self._leased_until: dict[_Key, float] = {}

    def add(self, claims: list[Claim]) -> None:
        """Add claims."""
        with self._condition:
            for claim in claims:
                self._claims[_key(claim)] = claim
                self._leased_until[_key(claim)] = claim.claimed_at + LEASE_S

    def remove(self, claims: list[Claim]) -> None:
        """Remove claims that are settled, or that recovery will see to."""
        with self._condition:
            for claim in claims:
                self._claims.pop(_key(claim), None)
                self._leased_until.pop(_key(claim), None)
            self._condition.notify_all()

    def renewed(self, claims: Sequence[Claim], states: Sequence[LeaseState], asked_at: float) -> None:
        """Note what a renewal that was asked for at `asked_at` (monotonic) has brought."""
        with self._condition:
            for claim, state in zip(claims, states, strict=True):
                if _key(claim) in self._claims:
                    held = state is LeaseState.HELD
                    self._leased_until[_key(claim)] = asked_at + LEASE_S if held else float("-inf")

    def may_send(self, claim: Claim) -> bool:
        """Return whether the mail may leave now: the lease surely holds, and the verification still wants the mail."""
        with self._condition:
            return self._clock() + MARGIN_S < self._leased_until.get(_key(claim), float("-inf"))

    def wait_for_capacity(self, timeout_s: float) -> int:
        """Wait until it pays to claim, at most `timeout_s` seconds; return how many claims may be added.

        A claim costs a round trip to the master and its replica, for one delivery as for many. So while the
        senders have enough to do it pays to wait until half of the capacity is free.
        """
        with self._condition:
            self._condition.wait_for(lambda: 2 * len(self._claims) <= self._capacity, timeout_s)
            return max(0, self._capacity - len(self._claims))

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; return whether that came within `timeout_s` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._claims, timeout_s)

    def claims(self) -> list[Claim]:
        """Return the claims in flight."""
        with self._condition:
            return list(self._claims.values())

    def __len__(self) -> int:
        """Return how many claims are in flight."""
        return len(self._claims)


def _key(claim: Claim) -> _Key:
    return claim.verification.id, claim.number, claim.lease
