"""The keys in Redis, and the RQ job that stands for a delivery.

    verifier:verification:<id>   hash, with a TTL: the record of one verification and of its newest delivery; or, where the
                                 request that would have made it led to another one, which (lua/accept.lua)
    verifier:due                 sorted set: the ids of verifications that owe a mail, by when it is next due
    verifier:late                sorted set: of these, the ids of those that the first try did not settle, by when each was accepted
    verifier:waiting-for-relay   sorted set: of these, the ids of those deferred because a relay failed, by when each code dies
    verifier:lease:<lease>       set, with a TTL: the ids claimed under one lease, for a claim whose answer gets lost
    verifier:sequence            counter: numbers the jobs in the order in which they were queued
    verifier:last-sent           when the newest mail was handed to a relay
    verifier:room                with a TTL: whether Redis has room for new work
    verifier:probe               with a TTL: what an operator's command wrote to see whether the master takes writes
    verifier:workers             sorted set: the names of workers, by when each was heard of last; those of the last hour
    verifier:worker:<name>       JSON, with a TTL: how that worker fares
    verifier:history             sorted set, with a TTL: what happened to the master (JSON), by when; the newest five hundred
                                 events of half a year
    verifier:minute:<minutes since 1970>   hash, with a TTL: what was owed and done in that minute, for two hours
    verifier:counted:<worker>    hash, with a TTL: the totals that a worker has told so far
    verifier:ops-ended           sorted set, with a TTL: operators' sessions that were ended, by when each would have ended by itself
    verifier:limit:<limit>:<whose>   with a TTL: when the allowance of each rate of the limit is whole again
    verifier:pending:<whose>     with a TTL: the id of the verification that a caller has pending for an address
    verifier:alerts              JSON, with a TTL: which alerts fire, and what of it was told
    verifier:alerts:teller       with a TTL: which process tells of alerts, and sends the canary
    verifier:canary              hash, with a TTL: the canary that is on its way, and when the last one went out
    verifier:dead                sorted set, with a TTL: <verification id>-<delivery number> of the dead letters, by
                                 when each was given up; the newest ten thousand of a week
    verifier:dead:<one of them>  JSON, with a TTL: what operators need to know of a dead letter
    rq:queue:verifier-mail, rq:job:<verification id>-<delivery number>, ...   RQ's own

A job holds ids only: no address, no code. <whose> is a keyed digest of an address, a client network or both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

DELIVER = "workers.jobs.deliver"

RECORD_PREFIX = "verifier:verification:"
DUE = "verifier:due"
SEQUENCE = "verifier:sequence"
DEAD = "verifier:dead"
LATE = "verifier:late"
WAITING_FOR_RELAY = "verifier:waiting-for-relay"
LEASE_PREFIX = "verifier:lease:"
LAST_SENT = "verifier:last-sent"
ROOM = "verifier:room"
LIMIT_PREFIX = "verifier:limit:"
PENDING_PREFIX = "verifier:pending:"
PROBE = "verifier:probe"
ALERTS = "verifier:alerts"
TELLER = "verifier:alerts:teller"
CANARY = "verifier:canary"
WORKERS = "verifier:workers"
WORKER_PREFIX = "verifier:worker:"
HISTORY = "verifier:history"
MINUTE_PREFIX = "verifier:minute:"
COUNTED_PREFIX = "verifier:counted:"
OPS_ENDED = "verifier:ops-ended"
QUEUES = "rq:queues"
JOB_PREFIX = "rq:job:"

# For stock RQ workers, which break a job off after it: longer than the longest wait for a relay's answer that can be set.
JOB_TIMEOUT_S = 3900


@dataclass(frozen=True)
class Queue:
    """An RQ queue: its name, and the key of the list with the ids of its jobs."""

    name: str = "verifier-mail"

    @property
    def key(self) -> str:
        """RQ's key for it."""
        return f"rq:queue:{self.name}"


QUEUE = Queue().key

# What differs from job to job.
_OWN_FIELDS = frozenset({"data", "description", "created_at", "enqueued_at"})


def record_key(verification_id: str) -> str:
    """Return the key of a verification's record."""
    return RECORD_PREFIX + verification_id


def limit_key(limit: str, subject: str) -> str:
    """Return the key of a limit for a subject."""
    return f"{LIMIT_PREFIX}{limit}:{subject}"


def dead_letter_key(name: str) -> str:
    """Return the key of the dead letter with this name, `<verification id>-<delivery number>`."""
    return f"{DEAD}:{name}"


def job_id(verification_id: str, delivery_number: int) -> str:
    """Return the id of the RQ job of a delivery; RQ allows letters, digits, - and _."""
    return f"{verification_id}-{delivery_number}"


def job_fields(queue: Queue, verification_id: str, delivery_number: int) -> list[bytes | str | int]:
    """Return the fields and values of the job's hash, as RQ itself would write them.

    RQ does the formatting, so that any RQ worker or tool can read the job. What is the same for all jobs it
    formats once: making a `Job` takes longer than everything else that accepting a verification does here. The call is
    what RQ's JSONSerializer makes of it, without blanks. RQ compresses it, and reads it as well where it is not
    compressed (`Job.restore`): there is nothing to be gained with one so short.
    """
    # As RQ's utcformat(now()) writes it, which takes four times as long.
    queued_at = f"{datetime.now(UTC).isoformat(timespec='microseconds')[:26]}Z"
    return [
        *_common_fields(queue),
        *("data", f'["{DELIVER}",null,["{verification_id}",{delivery_number}],{{}}]'),
        # What people read in RQ's tools, beside the job's id; RQ's own would hold the arguments once more.
        *("description", f"delivery {delivery_number}"),
        *("created_at", queued_at),
        *("enqueued_at", queued_at),
    ]


@functools.cache
def _common_fields(queue: Queue) -> tuple[bytes | str | int, ...]:
    """Return what all jobs have in common; fields that are empty are left out, which RQ reads as empty.

    That saves a third of the memory.
    """
    job = Job.create(
        DELIVER,
        connection=Redis(),  # asked for by RQ, and never connected
        serializer=JSONSerializer,
        timeout=JOB_TIMEOUT_S,
        origin=queue.name,
        status=JobStatus.QUEUED,
    )
    fields = job.to_dict(include_meta=False)
    kept = {name: value for name, value in fields.items() if value != "" and name not in _OWN_FIELDS}
    return tuple(_flattened(kept.items()))


def _flattened(pairs: Iterable[tuple[str, bytes | str | int]]) -> Iterable[bytes | str | int]:
    for name, value in pairs:
        yield name
        yield str(value.value) if isinstance(value, JobStatus) else value
