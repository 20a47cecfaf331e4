"""Deliveries in Redis, as the workers see them: claim, renew, settle, re-queue; and operators: list, revive.

A claim is a lease: the delivery's due time moves on, and whoever claims it alone may send the mail. All of
this is timed by Redis's own clock, so that hosts may disagree about the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from verifier.domain.rules import Rules
from verifier.domain.verifications import OWED, DeliveryStatus, Verification
from verifier.store import keyspace
from verifier.store.dead_letters import BATCH, Retention
from verifier.store.delivery_reports import DeliveryReport, report_of_record
from verifier.store.scripts import Acknowledgement, Step, load_script, run_steps
from verifier.store.verifications import QUEUE_GRACE_S, queueing_keys, read_record

CLAIM = load_script("claim", "clock", "dead_letters")
SETTLE = load_script("settle", "clock", "dead_letters")
RECALL = load_script("recall", "clock")
EXTEND = load_script("extend", "clock")
OVERDUE = load_script("overdue", "clock")
PUT_OFF = load_script("put_off", "clock")
REQUEUE = load_script("requeue", "clock", "dead_letters")
REVIVE = load_script("revive", "clock", "dead_letters")

# A code that lives for less than this is not mailed any more, in seconds.
LEAST_LIFE_S = 60.0
# A job far behind in the queue is looked after again when it may be near the head, going by the least speed of a
# queue in jobs a second, but after so many seconds at the most: for so long the loss of the queue may go unnoticed.
LEAST_SPEED = 2000
LONGEST_GRACE_S = 10.0
# How long a claim holds without being renewed, in seconds: a dead worker's mails wait for this long.
LEASE_S = 9.0


@dataclass(frozen=True)
class Claim:
    """The right to send one mail, until the lease is over."""

    verification: Verification
    number: int
    lease: str


@dataclass(frozen=True)
class Skipped:
    """A job that needs no mail, and why."""

    job_id: str
    reason: str


@dataclass(frozen=True)
class Settlement:
    """What became of a claim; `next_try_in_s` counts from when it is written down.

    `tried` is false where no relay was asked, because all of them rest or because the worker stops.
    """

    claim: Claim
    outcome: DeliveryStatus
    next_try_in_s: float = 0.0
    relay_reply: str = ""
    tried: bool = True


class Deliveries:
    """The atomic steps. Each raises TransientError, Backpressure or PermanentError, and, but for `claim`, may
    be repeated after that."""

    def __init__(
        self, acknowledgement: Acknowledgement, rules: Rules, dead_letters: Retention | None = None
    ) -> None:
        self._acknowledgement = acknowledgement
        self._rules = rules
        self._dead_letters = (dead_letters or Retention()).arguments()
        # Codes that live for a minute or two in all would otherwise never be mailed.
        self.least_life_s = min(LEAST_LIFE_S, rules.lifetime_s / 4)

    def claim(
        self, client: Redis, lease: str, how_many: int, job_ids: Sequence[str] = ()
    ) -> list[Claim | Skipped]:
        """Take up to `how_many` jobs off the queue, or the named ones, and claim their deliveries.

        Replicas have the claims before this returns, so that a dead master does not make a second mail.
        Not to be repeated after an error: `recall` first, with the same lease.
        """
        step = Step(
            CLAIM,
            [keyspace.QUEUE, keyspace.DUE, keyspace.DEAD],
            [
                keyspace.RECORD_PREFIX,
                keyspace.JOB_PREFIX,
                LEASE_S,
                lease,
                self.least_life_s,
                how_many,
                self._rules.max_check_attempts,
                *self._dead_letters,
                *job_ids,
            ],
        )
        replies = run_steps(client, [step], self._acknowledgement, _claimed_any)[0]
        return [_read_claim(reply, lease) for reply in replies]

    def recall(self, client: Redis, lease: str) -> list[Claim | Skipped]:
        """Return what was claimed under this lease by a `claim` whose answer got lost."""
        step = Step(RECALL, [keyspace.DUE], [keyspace.RECORD_PREFIX, LEASE_S, lease])
        replies = run_steps(client, [step], self._acknowledgement, _claimed_any)[0]
        return [_read_claim(reply, lease) for reply in replies]

    def extend(self, client: Redis, claims: Sequence[Claim]) -> None:
        """Renew the leases of deliveries in flight."""
        pairs = [text for claim in claims for text in (claim.verification.id, claim.lease)]
        step = Step(EXTEND, [keyspace.DUE], [keyspace.RECORD_PREFIX, LEASE_S, *pairs])
        run_steps(client, [step], None)

    def settle(self, client: Redis, settlements: Sequence[Settlement]) -> list[str]:
        """Write down what became of claims, in one round trip; return for each what the script said."""
        steps = [self._settle_step(settlement) for settlement in settlements]
        return [reply.decode() for reply in run_steps(client, steps, self._acknowledgement)]

    def put_off(self, client: Redis, how_many: int) -> int:
        """Look at up to `how_many` of what is due, and put off what still waits in the queue; return how many.

        No replica is waited for: should it be lost, they are looked at once more.
        """
        limits = (how_many, self.least_life_s, QUEUE_GRACE_S, LONGEST_GRACE_S, LEAST_SPEED)
        step = Step(PUT_OFF, [keyspace.DUE, keyspace.QUEUE], [keyspace.RECORD_PREFIX, *limits])
        return int(run_steps(client, [step], None)[0])

    def overdue(self, client: Redis, how_many: int) -> list[tuple[str, int]]:
        """List verification id and delivery number of what is due and not being worked on."""
        step = Step(OVERDUE, [keyspace.DUE], [keyspace.RECORD_PREFIX, how_many])
        flat = [text.decode() for text in run_steps(client, [step], None)[0]]
        return [(flat[index], int(flat[index + 1])) for index in range(0, len(flat), 2)]

    def requeue(
        self, client: Redis, overdue: Sequence[tuple[str, int]], *, reclaim_leases: bool
    ) -> list[str]:
        """Return overdue deliveries fresh jobs, each once, however many workers do this at the same time."""
        steps = [self._requeue_step(*delivery, reclaim_leases) for delivery in overdue]
        return [reply.decode() for reply in run_steps(client, steps, self._acknowledgement)]

    def revive(self, client: Redis, verification_id: str, number: int | None) -> tuple[str, int]:
        """Make a delivery due now because an operator says so: a deferred one, or one that was given up.

        Without a number it is the newest of the verification. Gives what the script said, and the number.
        """
        step = Step(
            REVIVE,
            [keyspace.record_key(verification_id), keyspace.DUE, keyspace.DEAD],
            [
                verification_id,
                "" if number is None else number,
                self.least_life_s,
                self._rules.max_check_attempts,
            ],
        )
        what, found_number = run_steps(client, [step], self._acknowledgement)[0]
        return what.decode(), int(found_number or 0)

    def _settle_step(self, settlement: Settlement) -> Step:
        claim = settlement.claim
        return Step(
            SETTLE,
            [keyspace.record_key(claim.verification.id), keyspace.DUE, keyspace.DEAD],
            [
                claim.verification.id,
                claim.number,
                claim.lease,
                settlement.outcome.value,
                settlement.next_try_in_s,
                settlement.relay_reply,
                *self._dead_letters,
                int(settlement.tried),
            ],
        )

    def _requeue_step(self, verification_id: str, number: int, reclaim_leases: bool) -> Step:
        return Step(
            REQUEUE,
            [*queueing_keys(verification_id, number), keyspace.DEAD],
            [
                verification_id,
                number,
                QUEUE_GRACE_S,
                keyspace.job_id(verification_id, number),
                self.least_life_s,
                int(reclaim_leases),
                keyspace.RECORD_PREFIX,
                *self._dead_letters,
                *keyspace.job_fields(verification_id, number),
            ],
        )


def owed_deliveries(client: Redis) -> Iterator[DeliveryReport]:
    """Read what is owed, as it is asked for, by when somebody looks after it next."""
    due: Any = client.zrange(keyspace.DUE, 0, -1, withscores=True)
    remaining = iter(due)
    while batch := list(itertools.islice(remaining, BATCH)):
        with client.pipeline(transaction=False) as pipeline:
            for verification_id, _ in batch:
                pipeline.hgetall(keyspace.record_key(verification_id.decode()))
            records = pipeline.execute()
        for (verification_id, due_at), fields in zip(batch, records, strict=True):
            if fields and DeliveryStatus(fields[b"delivery_status"].decode()) in OWED:
                yield report_of_record(verification_id.decode(), fields, float(due_at))


def _claimed_any(results: list[Any]) -> bool:
    return any(reply[0] == b"claimed" for reply in results[0])


def _read_claim(reply: list[Any], lease: str) -> Claim | Skipped:
    if reply[0] != b"claimed":
        return Skipped(reply[1].decode(errors="replace"), reply[2].decode())
    flat = reply[3]
    verification = read_record(reply[1].decode(), dict(zip(flat[::2], flat[1::2], strict=True)))
    return Claim(verification, int(reply[2]), lease)
