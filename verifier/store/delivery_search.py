"""Finding deliveries for operators: what is owed by its due entry, what is dead by the index of dead letters.

Only these two are indexed. Each function reads once and may be repeated.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED

from verifier.domain.rules import Rules
from verifier.domain.verifications import OWED, DeliveryStatus, Verification
from verifier.store import keyspace
from verifier.store.dead_letters import (
    dead_letters_of,
    names_of_dead_letters,
    read_dead_letters,
)
from verifier.store.deliveries import owed_deliveries
from verifier.store.delivery_reports import DeliveryReport, Filter, report_of_record
from verifier.store.keyspace import Queue
from verifier.store.records import read_record

NEXT_TRIES = 5


@dataclass(frozen=True)
class Listing:
    """What `list` shows; `more` tells that there is more of it than was asked for."""

    owed: tuple[DeliveryReport, ...]
    dead_letters: tuple[DeliveryReport, ...]
    more: bool


@dataclass(frozen=True)
class Details:
    """What `show` shows; the record may be gone while a dead letter of it is kept."""

    verification: Verification | None
    newest: DeliveryReport | None
    dead_letters: tuple[DeliveryReport, ...]


def find_listing(client: Redis, wanted: Filter, limit: int, now: float) -> Listing:
    """Return the first of what is owed and of the dead letters, at most `limit` of each."""
    owed = list(itertools.islice(_find_owed(client, wanted, now), limit + 1))
    dead = list(itertools.islice(find_dead_letters(client, wanted, now), limit + 1))
    return Listing(tuple(owed[:limit]), tuple(dead[:limit]), more=max(len(owed), len(dead)) > limit)


def find_dead_letters(client: Redis, wanted: Filter, now: float) -> Iterator[DeliveryReport]:
    """Return dead letters, the newest first."""
    if not wanted.statuses or wanted.statuses - OWED:
        letters = read_dead_letters(client, names_of_dead_letters(client))
        yield from (letter for letter in letters if wanted.wants(letter, now))


def find_all(client: Redis, wanted: Filter, now: float) -> Iterator[DeliveryReport]:
    """Return what is owed, then dead letters."""
    yield from _find_owed(client, wanted, now)
    yield from find_dead_letters(client, wanted, now)


def find_details(client: Redis, verification_id: str, number: int | None, rules: Rules) -> Details:
    """Return all that is known of a verification, or only of the delivery with this number."""
    letters = tuple(dead_letters_of(client, verification_id, rules.max_sends, number))
    fields: Any = client.hgetall(keyspace.record_key(verification_id))
    if not fields:
        return Details(None, None, letters)
    due_at: Any = client.zscore(keyspace.DUE, verification_id)
    newest = report_of_record(verification_id, fields, due_at)
    if number not in {None, newest.number}:
        return Details(None, None, letters)
    return Details(read_record(verification_id, fields), newest, letters)


def _find_owed(client: Redis, wanted: Filter, now: float) -> Iterator[DeliveryReport]:
    if not wanted.statuses or wanted.statuses & OWED:
        yield from (report for report in owed_deliveries(client) if wanted.wants(report, now))


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
