"""Recovery: whatever is due and not in flight gets a fresh RQ job.

It serves delayed retries, crashed workers, jobs that were popped on a master that died, and a queue that
was lost whole. Every worker does it; each delivery is re-queued by one of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from redis import Redis

from verifier.logs import ThrottledLog
from verifier.store.deliveries import LEASE_S, Deliveries

log = logging.getLogger(__name__)
# While a relay is away some are put back each second.
throttled_log = ThrottledLog(log, every_s=60.0)

BATCH = 200
# Those that only wait are many when the queue is long, and cost much less to look at.
PUT_OFF_BATCH = 1000
MOST_BATCHES = 10
# Mails that waited for a relay are tried over so many seconds once it answers again.
WAKE_SPREAD_S = 10.0


class Writing:
    """For how long this worker could write to Redis without a break; safe for threads.

    Only what renews leases and writes settlements counts, and the heartbeat, which is a write like them: where those
    work, every worker that lives has kept its leases. Whatever else of a worker fails says nothing of that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def worked(self) -> None:
        """Note that a write worked."""
        if self._since is None:
            self._since = self._clock()

    def failed(self) -> None:
        """Note that a write failed because of a state of Redis."""
        self._since = None

    def lasts_for_s(self) -> float:
        """Return for how many seconds all writes have worked; 0 before the first one."""
        since = self._since
        return 0.0 if since is None else self._clock() - since


class Recovery:
    """One worker's share of it."""

    def __init__(self, deliveries: Deliveries, writing: Writing) -> None:
        self._deliveries = deliveries
        self._writing = writing

    def run(self, client: Redis) -> int:
        """Re-queue what is overdue, a bounded number of batches; return how many deliveries it was."""
        requeued = 0
        for _ in range(MOST_BATCHES):
            if not self._deliveries.put_off(client, PUT_OFF_BATCH):
                break
        for _ in range(MOST_BATCHES):
            overdue = self._deliveries.overdue(client, BATCH)
            if overdue:
                replies = self._deliveries.requeue(client, overdue, reclaim_leases=self.may_reclaim())
                requeued += replies.count("requeued")
                self._log_failures(overdue, replies)
            if len(overdue) < BATCH:
                break
        if requeued:
            throttled_log.log(
                logging.INFO, "Recovery put %d deliveries that were due into the queue again.", requeued
            )
        return requeued

    def wake(self, client: Redis, *, one: bool) -> None:
        """Have mails tried soon that wait for a relay, which answers again; or only one of them, to see."""
        woken = self._deliveries.wake(client, 1 if one else BATCH, WAKE_SPREAD_S)
        for _ in range(MOST_BATCHES if not one and woken == BATCH else 0):
            woken += self._deliveries.wake(client, BATCH, WAKE_SPREAD_S)
        if woken:
            log.info("A relay answers again, so %d mails that waited for it are tried soon.", woken)

    def may_reclaim(self) -> bool:
        """Return whether an expired lease means a dead worker.

        While Redis was away nobody could renew a lease or write a settlement, so after an outage, or where nobody knows
        because this worker has just started, everybody alive gets the time of a lease to do so first: otherwise
        their mails would go out twice.
        """
        return self._writing.lasts_for_s() > LEASE_S

    @staticmethod
    def _log_failures(overdue: list[tuple[str, int]], replies: list[str]) -> None:
        for (verification_id, number), reply in zip(overdue, replies, strict=True):
            if reply == "malformed" or reply.startswith("failed: "):
                log.error(
                    "The record of verification %s is malformed, so delivery %d of it was given up: %s",
                    verification_id,
                    number,
                    reply,
                )
