"""The state of the queue, for operators: what waits, what is owed in which state, and when it is tried next."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED

from verifier.domain.verifications import DeliveryStatus
from verifier.store import keyspace
from verifier.store.deliveries import owed_deliveries
from verifier.store.keyspace import Queue

NEXT_TRIES = 5


@dataclass(frozen=True)
class QueueState:
    """Counts at about one moment; `next_tries` are Unix times in seconds."""

    jobs: int
    by_status: dict[str, int]
    late: int
    waiting_for_relay: int
    dead_letters: int
    suspended: bool
    next_tries: tuple[float, ...]


def read_queue_state(client: Redis, queue: Queue) -> QueueState:
    """Ask Redis. Raises TransientError, PermanentError or Backpressure."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.llen(queue.key)
        pipeline.zcard(keyspace.LATE)
        pipeline.zcard(keyspace.WAITING_FOR_RELAY)
        pipeline.zcard(keyspace.DEAD)
        pipeline.exists(WORKERS_SUSPENDED)
        jobs, late, waiting, dead, suspended = pipeline.execute()
    statuses: Counter[str] = Counter()
    tries: list[float] = []
    for report in owed_deliveries(client):
        statuses[report.status.value] += 1
        if report.status is DeliveryStatus.DEFERRED and report.next_try_at is not None:
            tries.append(report.next_try_at)
    return QueueState(
        jobs=jobs,
        by_status={
            status.value: statuses[status.value] for status in DeliveryStatus if statuses[status.value]
        },
        late=late,
        waiting_for_relay=waiting,
        dead_letters=dead,
        suspended=bool(suspended),
        next_tries=tuple(heapq.nsmallest(NEXT_TRIES, tries)),
    )
