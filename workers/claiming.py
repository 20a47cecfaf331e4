"""Claiming so that no claim is lost: when the answer is lost in a failover, the next attempt recalls the claims."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence

from sentinel import MasterLink
from verifier.store.deliveries import Claim, Deliveries, Skipped
from workers.retry_policy import RetryPolicy


class Claiming:
    """Claims deliveries for one process; safe for threads."""

    def __init__(self, deliveries: Deliveries, link: MasterLink, retry_policy: RetryPolicy) -> None:
        self._deliveries = deliveries
        self._link = link
        self._retry_policy = retry_policy
        self._numbers = itertools.count()
        self._prefix = secrets.token_hex(4)

    def claim(self, how_many: int, job_ids: Sequence[str] = ()) -> list[Claim | Skipped]:
        """Claim the deliveries of the next `how_many` jobs of the queue, or of the named ones. Raises Stopping."""
        lease = f"{self._prefix}-{next(self._numbers)}"
        asked = False

        def step() -> list[Claim | Skipped]:
            nonlocal asked
            client = self._link.redis
            if asked and (recalled := self._deliveries.recall(client, lease)):
                return recalled
            asked = True
            return self._deliveries.claim(client, lease, how_many, job_ids)

        return self._retry_policy.until_it_works(step)
