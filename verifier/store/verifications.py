"""Verifications in Redis: written in atomic steps, acknowledged by replicas, safe to try again.

Every step may be repeated after an answer got lost in a failover: an id or a request id, made before the
first try, tells a repeat from a second request. All times are Redis's (redis_clock.py), whatever a host's clock says.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from redis import Redis, ResponseError

from sentinel import Backpressure, MasterLink
from verifier.domain.errors import QueueFull, VerificationNotFound
from verifier.domain.verifications import Status, Verification
from verifier.store import keyspace
from verifier.store.group_commit import GroupCommit
from verifier.store.keyspace import Queue
from verifier.store.limits import NOT_COUNTED, Counter, StartCount, arguments_of, limit_reached
from verifier.store.records import (
    MalformedRecord,
    new_verification,
    pairs_to_fields,
    read_record,
)
from verifier.store.redis_clock import RedisClock
from verifier.store.scripts import Acknowledgement, Argument, Script, Step, load_script, run_steps

ACCEPT = load_script("accept", "clock", "records", "room", "queue", "limits")
ATTEMPT = load_script("attempt", "clock", "records", "full", "limits")
END = load_script("end", "clock", "records", "full", "limits")
RESEND = load_script("resend", "clock", "records", "room", "queue", "limits")

# How long a queued job is trusted to be picked up before recovery looks after it, in seconds.
QUEUE_GRACE_S = 5.0
# The share of Redis's memory up to which new work is taken on. The rest is for finishing it.
SHARE_FOR_NEW_WORK = 0.9
# For how long the record of a canceled verification is kept, in seconds: somebody may start and cancel in a loop.
CANCELED_RETENTION_S = 60.0
# With less life left than this, in seconds, or than a tenth of it, a pending verification is not what a new start leads to.
LEAST_LIFE_S = 60.0
# The answers of scripts that wrote nothing, so that there is nothing for replicas to acknowledge.
_REFUSALS = (b"full", b"limited")


class Resend(StrEnum):
    """What became of asking for the mail again."""

    ACCEPTED = "accepted"
    CHANGED = "changed"


class Attempt(StrEnum):
    """What became of an attempt before it is judged."""

    COUNTED = "counted"
    REPEATED = "repeated"
    CLOSED = "closed"
    UNKNOWN_KEY = "unknown key"

    @property
    def may_be_judged(self) -> bool:
        """Return whether the typed code may be looked at."""
        return self in {Attempt.COUNTED, Attempt.REPEATED}


class VerificationStore:
    """The verifications; all times are Unix times in seconds."""

    def __init__(
        self,
        link: MasterLink,
        acknowledgement: Acknowledgement,
        *,
        retention_s: float,
        max_owed_mails: int,
        queue: Queue | None = None,
    ) -> None:
        """Take `queue` for the jobs; nothing connects before the first step."""
        self._link = link
        self._acknowledgement = acknowledgement
        # Without a WAIT there is nothing to share.
        self._exchange = GroupCommit().exchange if acknowledgement.replicas else None
        self._retention_s = retention_s
        self._max_owed_mails = max_owed_mails
        self._queue = queue or Queue()
        self.clock = RedisClock()

    def accept(
        self,
        verification_id: str,
        address: str,
        key_id: str,
        lifetime_s: float,
        other_ids: Sequence[str] = (),
        *,
        started_by: str = "",
        started_with: str = "",
        language: str = "",
        http_request_id: str = "",
        count: StartCount = NOT_COUNTED,
    ) -> Verification:
        """Write a new verification, its due entry and its RQ job, and count it towards the limits, all or nothing.

        Args:
            verification_id: the new id; where there is a record of it already, an earlier try of the same request
                has arrived, and what that made is returned as it is now.
            address: the normal form.
            key_id: the secret key that the code is derived with.
            lifetime_s: for how many seconds the code lives.
            other_ids: ids under which an earlier try of the same request may have arrived, too.
            started_by: the mark of who starts it.
            started_with: the fingerprint of what else the request said, where its caller named a key. Then the request
                is remembered, too, where it leads to what the same caller has pending.
            language: of its mails; empty is English.
            http_request_id: of the request that starts it, for the log.
            count: what it is counted as. Where the same caller has one pending for the address, that is returned as
                it is now, and nothing is counted; its id is none of the given ones.

        What is returned says whether it was asked for before, and with which fingerprint.

        Raises:
            LimitReached: one of the limits is used up; nothing was written or counted.
            QueueFull: too many mails are owed, or Redis has no room for new work.
            TransientError, PermanentError, Backpressure: nobody knows whether it was written.
        """
        how_many_limits, *limits = arguments_of(count.counters)
        step = self._queueing_step(
            ACCEPT,
            verification_id,
            1,
            [
                self._max_owed_mails,
                QUEUE_GRACE_S,
                lifetime_s,
                self._retention_s,
                verification_id,
                keyspace.job_id(verification_id, 1),
                SHARE_FOR_NEW_WORK,
                count.pending_key,
                keyspace.RECORD_PREFIX,
                min(LEAST_LIFE_S, lifetime_s / 10),
                how_many_limits,
                count.max_attempts,
                *(address, key_id, started_by, count.address_tag, started_with, language, http_request_id),
                *limits,
            ],
            [keyspace.ROOM, *map(keyspace.record_key, other_ids)],
        )
        outcome, *told = self._commit(step)
        if outcome == b"full":
            raise QueueFull
        if outcome == b"limited":
            raise limit_reached(count.counters, *told)
        self.clock.learn(float(told[0]))
        if outcome == b"exists":
            position = int(told[1])
            found_id = verification_id if position == 1 else other_ids[position - 8]
            return replace(read_record(found_id, pairs_to_fields(told[2])), repeated=True)
        if outcome in {b"pending", b"led before"}:
            pending = read_record(told[1].decode(), pairs_to_fields(told[2]))
            return replace(
                pending, repeated=outcome == b"led before", started_with=b"".join(told[3:]).decode()
            )
        return new_verification(
            verification_id,
            address,
            key_id,
            float(told[0]),
            float(told[1]),
            started_by=started_by,
            language=language,
            http_request_id=http_request_id,
        )

    def get(self, verification_id: str) -> Verification:
        """Read a verification. Raises VerificationNotFound."""
        key = keyspace.record_key(verification_id)

        def read(client: Redis) -> Any:
            with client.pipeline(transaction=False) as pipeline:
                pipeline.hgetall(key)
                pipeline.time()
                return pipeline.execute()

        fields, (seconds, microseconds) = self._link.run(read)
        self.clock.learn(seconds + microseconds / 1e6)
        return read_record(verification_id, fields)

    def count_attempt(
        self,
        verification_id: str,
        max_attempts: int,
        request_id: str,
        fingerprint: str,
        key_ids: Sequence[str],
        *,
        caller_mark: str = "",
        counters: Sequence[Counter] = (),
    ) -> tuple[Attempt, Verification, str]:
        """Count an attempt before it is judged; return whether it may be, the record, and the counted fingerprint.

        Args:
            verification_id: whose code was typed.
            max_attempts: how many are counted at the most.
            request_id: a repeat of the same request is not counted again.
            fingerprint: is kept with a counted request, and returned for its repeats.
            key_ids: the keys that this process can judge with; no attempt is counted where the code was made with
                another one.
            caller_mark: of who typed it; nothing is counted where that caller may not know of it. Empty is anybody.
            counters: the limits that it is counted towards; all of them, or nothing is counted.

        Raises:
            LimitReached: one of the limits is used up.
            VerificationNotFound: there is none, or none that the caller may know of.
        """
        step = Step(
            ATTEMPT,
            [keyspace.record_key(verification_id), keyspace.DUE],
            [max_attempts, request_id, fingerprint, caller_mark, *arguments_of(counters), *key_ids],
        )
        reply = self._commit(step)
        if reply and reply[0] == b"limited":
            raise limit_reached(counters, *reply[1:])
        what, verification = self._reply_and_record(verification_id, reply)
        counted = pairs_to_fields(reply[2]).get(f"request:{request_id}".encode(), b"")
        return Attempt(what.decode()), verification, counted.decode()

    def end(
        self,
        verification_id: str,
        status: Status,
        request_id: str = "",
        give_back: Sequence[Counter] = (),
    ) -> tuple[bool, Verification]:
        """Approve or cancel a pending verification; return whether this request did it, now or in an earlier try.

        What the attempt was counted towards is given back, since these limits count wrong codes.

        Raises:
            VerificationNotFound: there is none.
        """
        life_s = CANCELED_RETENTION_S if status is Status.CANCELED else self._retention_s
        step = Step(
            END,
            [keyspace.record_key(verification_id), keyspace.DUE, keyspace.LATE],
            [
                status.value,
                request_id or secrets.token_hex(8),
                verification_id,
                keyspace.JOB_PREFIX,
                min(life_s, self._retention_s),
                *arguments_of(give_back)[1:],
            ],
        )
        ours, verification = self._reply_and_record(verification_id, self._commit(step))
        return bool(ours), verification

    def resend(self, verification: Verification, mark: str, counters: Sequence[Counter] = ()) -> Resend:
        """Owe the mail once more, unless the verification has changed since it was read.

        Args:
            verification: as it was read.
            mark: of the request (domain/requests.py); a repeat of the same request owes no other mail.
            counters: the limits that it is counted towards; all of them, or nothing is counted.

        Raises:
            LimitReached: one of the limits is used up; nothing was written or counted.
            QueueFull: too many mails are owed, or Redis has no room for new work.
        """
        number = verification.delivery.number
        step = self._queueing_step(
            RESEND,
            verification.id,
            number + 1,
            [
                self._max_owed_mails,
                QUEUE_GRACE_S,
                verification.id,
                keyspace.job_id(verification.id, number + 1),
                number,
                mark,
                SHARE_FOR_NEW_WORK,
                *arguments_of(counters),
            ],
            [keyspace.ROOM, keyspace.LATE],
        )
        outcome, *told = self._commit(step)
        if outcome == b"full":
            raise QueueFull
        if outcome == b"limited":
            raise limit_reached(counters, *told)
        return Resend.CHANGED if outcome == b"changed" else Resend.ACCEPTED

    def _queueing_step(
        self,
        script: Script,
        verification_id: str,
        delivery_number: int,
        arguments: Sequence[Argument],
        more_keys: Sequence[str],
    ) -> Step:
        job = keyspace.job_fields(self._queue, verification_id, delivery_number)
        keys = queueing_keys(self._queue, verification_id, delivery_number)
        return Step(script, [*keys, *more_keys], [*arguments, *job])

    def _commit(self, step: Step) -> Any:
        def operation(client: Redis) -> Any:
            try:
                return run_steps(client, [step], self._acknowledgement, _wrote, by=self._exchange)[0]
            except Backpressure:
                raise
            except ResponseError as error:  # what a script found there is nothing that we wrote
                raise MalformedRecord(f"{step.keys[0]} is malformed: {error}") from error

        return self._link.run(operation)

    def _reply_and_record(self, verification_id: str, reply: Any) -> tuple[Any, Verification]:
        if not reply:
            raise VerificationNotFound
        what, time_s, flat = reply
        self.clock.learn(float(time_s))
        return what, read_record(verification_id, pairs_to_fields(flat))


def _wrote(results: list[Any]) -> bool:
    """Return whether the script wrote something."""
    [reply] = results
    return not reply or reply[0] not in _REFUSALS


def queueing_keys(queue: Queue, verification_id: str, delivery_number: int) -> list[str]:
    """Return the keys of every script that puts a job into the queue."""
    return [
        keyspace.record_key(verification_id),
        keyspace.DUE,
        queue.key,
        keyspace.QUEUES,
        keyspace.JOB_PREFIX + keyspace.job_id(verification_id, delivery_number),
        keyspace.SEQUENCE,
    ]
