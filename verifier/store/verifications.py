"""Verifications in Redis: written in atomic steps, acknowledged by replicas, safe to try again.

Every step may be repeated after an answer got lost in a failover: an id or a request id, made before the
first try, tells a repeat from a second request.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from redis import Redis

from sentinel import MasterLink
from verifier.domain.errors import QueueFull, VerificationNotFound
from verifier.domain.verifications import Delivery, DeliveryStatus, Status, Verification
from verifier.store import keyspace
from verifier.store.scripts import Acknowledgement, Argument, Script, Step, load_script, run_steps

ACCEPT = load_script("accept")
ATTEMPT = load_script("attempt")
END = load_script("end")
RESEND = load_script("resend")

# How long a queued job is trusted to be picked up before recovery looks after it, in seconds.
QUEUE_GRACE_S = 5.0


class Resend(StrEnum):
    """What became of asking for the mail again."""

    ACCEPTED = "accepted"
    CHANGED = "changed"


class VerificationStore:
    """The verifications; all times are Unix times in seconds."""

    def __init__(
        self, link: MasterLink, acknowledgement: Acknowledgement, *, retention_s: float, max_owed_mails: int
    ) -> None:
        self._link = link
        self._acknowledgement = acknowledgement
        self._retention_s = retention_s
        self._max_owed_mails = max_owed_mails

    def accept(self, verification: Verification) -> None:
        """Write a new verification, its due entry and its RQ job, all or nothing.

        Raises:
            QueueFull: too many mails are owed.
            TransientError, PermanentError, Backpressure: nothing is promised.
        """
        now, number = verification.created_at, verification.delivery.number
        record = record_fields(verification)
        ends_at_ms = int((verification.expires_at + self._retention_s) * 1000)
        step = self._queueing_step(
            ACCEPT,
            verification.id,
            number,
            [
                self._max_owed_mails,
                now + QUEUE_GRACE_S,
                ends_at_ms,
                verification.id,
                keyspace.job_id(verification.id, number),
                len(record),
                *record,
            ],
        )
        if self._commit(step) == b"full":
            raise QueueFull

    def get(self, verification_id: str) -> Verification:
        """Read a verification. Raises VerificationNotFound."""
        key = keyspace.record_key(verification_id)
        fields: Any = self._link.run(lambda client: client.hgetall(key))
        return read_record(verification_id, fields)

    def count_attempt(self, verification_id: str, now: float, max_attempts: int) -> tuple[bool, Verification]:
        """Count an attempt before it is judged; return whether it may be judged. Raises VerificationNotFound."""
        step = Step(
            ATTEMPT, [keyspace.record_key(verification_id)], [now, max_attempts, secrets.token_hex(8)]
        )
        return _flag_and_record(verification_id, self._commit(step))

    def end(self, verification_id: str, status: Status) -> tuple[bool, Verification]:
        """Approve or cancel a pending verification; return whether this call did it.

        Raises:
            VerificationNotFound: there is none.
        """
        step = Step(
            END,
            [keyspace.record_key(verification_id), keyspace.DUE],
            [status.value, secrets.token_hex(8), verification_id],
        )
        return _flag_and_record(verification_id, self._commit(step))

    def resend(self, verification: Verification, now: float) -> Resend:
        """Owe the mail once more, unless the verification has changed since it was read.

        Raises:
            QueueFull: too many mails are owed.
        """
        number = verification.delivery.number
        step = self._queueing_step(
            RESEND,
            verification.id,
            number + 1,
            [
                self._max_owed_mails,
                now + QUEUE_GRACE_S,
                repr(now),
                verification.id,
                keyspace.job_id(verification.id, number + 1),
                number,
            ],
        )
        outcome = self._commit(step)
        if outcome == b"full":
            raise QueueFull
        return Resend.CHANGED if outcome == b"changed" else Resend.ACCEPTED

    def _queueing_step(
        self, script: Script, verification_id: str, delivery_number: int, arguments: Sequence[Argument]
    ) -> Step:
        job = keyspace.job_fields(verification_id, delivery_number)
        return Step(script, queueing_keys(verification_id, delivery_number), [*arguments, *job])

    def _commit(self, step: Step) -> Any:
        def operation(client: Redis) -> Any:
            return run_steps(client, [step], self._acknowledgement)[0]

        return self._link.run(operation)


def queueing_keys(verification_id: str, delivery_number: int) -> list[str]:
    """Return the keys of every script that puts a job into the queue."""
    return [
        keyspace.record_key(verification_id),
        keyspace.DUE,
        keyspace.QUEUE,
        keyspace.QUEUES,
        keyspace.JOB_PREFIX + keyspace.job_id(verification_id, delivery_number),
        keyspace.SEQUENCE,
    ]


def record_fields(verification: Verification) -> list[Argument]:
    """Return the fields and values of a new record.

    What the key says, and the time of the first mail, which is that of the record, are not written: there may be
    very many records.
    """
    delivery = verification.delivery
    return [
        *("address", verification.address),
        *("key_id", verification.key_id),
        *("status", verification.decided.value),
        *("created_at", repr(verification.created_at)),
        *("expires_at", repr(verification.expires_at)),
        *("attempts", verification.check_attempts),
        *("sends", verification.sends),
        *("delivery", delivery.number),
        *("delivery_status", delivery.status.value),
        *("tries", delivery.tries),
        *("queued_at", repr(delivery.queued_at)),
    ]


def read_record(verification_id: str, fields: Mapping[bytes, bytes]) -> Verification:
    """Read a record's fields. Raises VerificationNotFound where there are none."""
    if b"status" not in fields:
        raise VerificationNotFound
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return Verification(
        id=verification_id,
        address=text["address"],
        key_id=text["key_id"],
        created_at=float(text["created_at"]),
        expires_at=float(text["expires_at"]),
        decided=Status(text["status"]),
        check_attempts=int(text["attempts"]),
        sends=int(text["sends"]),
        last_sent_at=float(text.get("last_sent_at", text["created_at"])),
        delivery=Delivery(
            number=int(text["delivery"]),
            status=DeliveryStatus(text["delivery_status"]),
            tries=int(text["tries"]),
            queued_at=float(text["queued_at"]),
            next_try_at=float(text["next_try_at"]) if "next_try_at" in text else None,
            sent_at=float(text["sent_at"]) if "sent_at" in text else None,
            relay_reply=text.get("relay_reply", ""),
        ),
    )


def _flag_and_record(verification_id: str, reply: Any) -> tuple[bool, Verification]:
    if not reply:
        raise VerificationNotFound
    flag, flat = reply
    return bool(flag), read_record(verification_id, dict(zip(flat[::2], flat[1::2], strict=True)))
