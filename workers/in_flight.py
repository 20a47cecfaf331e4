"""The claims in flight: from when they were made until they are settled.

While a claim is in here its lease is renewed. Their number is bounded, so that a slow relay or an absent
Redis holds back the queue instead of filling the memory.
"""

from __future__ import annotations

import threading

from verifier.store.deliveries import Claim


class InFlight:
    """The claims of one process; safe for threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._condition = threading.Condition()
        self._claims: dict[tuple[str, int, str], Claim] = {}

    def add(self, claims: list[Claim]) -> None:
        """Add new claims."""
        with self._condition:
            self._claims.update((_key(claim), claim) for claim in claims)

    def remove(self, claims: list[Claim]) -> None:
        """Remove claims that are settled, or that another worker will see to."""
        with self._condition:
            for claim in claims:
                self._claims.pop(_key(claim), None)
            self._condition.notify_all()

    def wait_for_capacity(self, timeout_s: float) -> int:
        """Wait until it pays to claim, at most `timeout_s` seconds; return how many claims may be added.

        A claim costs a round trip to the master and its replica, for one delivery as for many. So while the
        senders have enough to do it pays to wait until half of the capacity is free.
        """
        with self._condition:
            self._condition.wait_for(lambda: 2 * len(self._claims) <= self._capacity, timeout_s)
            return max(0, self._capacity - len(self._claims))

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until no claim is in flight; return whether that came within `timeout_s` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._claims, timeout_s)

    def claims(self) -> list[Claim]:
        """Return the claims in flight."""
        with self._condition:
            return list(self._claims.values())

    def __len__(self) -> int:
        """Return how many claims are in flight."""
        return len(self._claims)


def _key(claim: Claim) -> tuple[str, int, str]:
    return claim.verification.id, claim.number, claim.lease
