"""The claims in flight of one worker: from when they were made until they are settled.

As long as a claim is in here its lease is renewed. Their number is bounded, so that a slow
relay or an absent Redis holds back the queue instead of filling the memory.
"""

from __future__ import annotations

import threading

from verifier.store.deliveries import Claim


class InFlight:
    """The claims of one process; safe for threads."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._condition = threading.Condition()
        self._claims: dict[tuple[str, int, str], Claim] = {}

    def add(self, claims: list[Claim]) -> None:
        """Add claims."""
        with self._condition:
            for claim in claims:
                self._claims[_key(claim)] = claim

    def remove(self, claims: list[Claim]) -> None:
        """Remove claims that are settled, or that recovery will see to."""
        with self._condition:
            for claim in claims:
                self._claims.pop(_key(claim), None)
            self._condition.notify_all()

    def wait_for_room(self, timeout_s: float) -> int:
        """Wait until there is room worth a claim, at most `timeout_s` seconds; return for how many there is.

        A claim costs a round trip to the master and its replica, for one delivery as for many. So while the
        senders have enough to do it pays to wait until half of the room is free.
        """
        with self._condition:
            self._condition.wait_for(lambda: 2 * len(self._claims) <= self._room, timeout_s)
            return max(0, self._room - len(self._claims))

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; return whether that came within `timeout_s` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._claims, timeout_s)

    def held(self) -> list[Claim]:
        """Return the claims in flight."""
        with self._condition:
            return list(self._claims.values())

    def __len__(self) -> int:
        """Return how many claims are in flight."""
        return len(self._claims)


def _key(claim: Claim) -> tuple[str, int, str]:
    return claim.verification.id, claim.number, claim.lease
