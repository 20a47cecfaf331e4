"""Recovery: whatever is due and not in flight gets a fresh RQ job.

It serves delayed retries, crashed workers, jobs that were popped on a master that died, and a queue that
was lost whole. Every worker does it; each delivery is re-queued by one of them.
"""

from __future__ import annotations

import logging

from verifier.store.deliveries import LEASE_S
from workers.container import WorkerContainer

log = logging.getLogger(__name__)

BATCH = 200
# Those that only wait are many when the queue is long, and cost much less to look at.
PUT_OFF_BATCH = 1000
MOST_BATCHES = 10


class Recovery:
    """One worker's share of it."""

    def __init__(self, container: WorkerContainer) -> None:
        self._container = container

    def run(self) -> int:
        """Re-queue what is overdue, a bounded number of batches; return how many deliveries it was."""
        client, deliveries = self._container.link.redis, self._container.deliveries
        requeued = 0
        for _ in range(MOST_BATCHES):
            if not deliveries.put_off(client, PUT_OFF_BATCH):
                break
        for _ in range(MOST_BATCHES):
            overdue = deliveries.overdue(client, BATCH)
            if overdue:
                replies = deliveries.requeue(client, overdue, reclaim_leases=self._may_reclaim())
                requeued += replies.count("requeued")
            if len(overdue) < BATCH:
                break
        if requeued:
            log.info("Recovery put %d deliveries that were due into the queue again.", requeued)
        return requeued

    def _may_reclaim(self) -> bool:
        """Return whether an expired lease means a dead worker.

        While Redis was away nobody could renew a lease or settle a mail, so after an outage everybody alive
        gets the time of a lease to do so first: otherwise their mails would go out twice.
        """
        outage = self._container.retry_policy.outage
        over_for_s = outage.over_for_s()
        if outage.is_on():
            return False
        return over_for_s is None or over_for_s > LEASE_S
