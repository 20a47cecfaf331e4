"""Deliveries in Redis, as the workers see them: claim, renew, settle, re-queue; and operators: list, revive.

A claim is a lease: the delivery's due time moves on, and whoever claims it alone may send the mail. All of
this is timed by Redis's own clock, so that hosts may disagree about the time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from redis import Redis

from verifier.domain.rules import Rules
from verifier.domain.verifications import OWED, DeliveryStatus, Verification
from verifier.store import keyspace
from verifier.store.dead_letters import BATCH, Retention
from verifier.store.delivery_reports import DeliveryReport, report_of_record
from verifier.store.keyspace import Queue
from verifier.store.records import MalformedRecord, pairs_to_fields, read_record
from verifier.store.scripts import Acknowledgement, Argument, Step, load_script, run_steps
from verifier.store.verifications import QUEUE_GRACE_S, queueing_keys

CLAIM = load_script("claim", "clock", "records", "dead_letters")
SETTLE = load_script("settle", "clock", "full", "records", "dead_letters")
RECALL = load_script("recall", "clock", "full", "records")
EXTEND = load_script("extend", "clock", "full", "records")
OVERDUE = load_script("overdue", "clock")
PUT_OFF = load_script("put_off", "clock", "full", "records", "queue_head")
REQUEUE = load_script("requeue", "clock", "full", "queue", "records", "queue_head", "dead_letters")
REVIVE = load_script("revive", "clock", "full", "records", "dead_letters")
ABANDON = load_script("abandon", "clock", "full", "records")
WAKE = load_script("wake", "clock", "records")

# A code that lives for less than this is not mailed any more, in seconds.
LEAST_LIFE_S = 60.0
# A job far behind in the queue is looked after again when it may be near the head, going by the least speed of a
# queue in jobs a second, but after so many seconds at the most: for so long the loss of the queue may go unnoticed.
LEAST_SPEED = 2000
LONGEST_GRACE_S = 10.0
# How long a claim holds without being renewed, in seconds: a dead worker's mails wait for this long.
LEASE_S = 9.0
# An owed mail that is in flight for longer than this counts as late, in seconds.
LATE_AFTER_S = 10.0


@dataclass(frozen=True)
class Claim:
    """The right to send one mail, until the lease is over."""

    verification: Verification
    number: int
    lease: str
    redis_ahead_s: float = field(default=0.0, compare=False)
    """By how much Redis's clock was ahead of this host's monotonic one when it was claimed."""
    claimed_at: float = field(default=0.0, compare=False)
    """When the claim was asked for, by the monotonic clock: the lease lasts for LEASE_S from then on at the least."""

    def redis_time(self, monotonic: float) -> float:
        """Return Redis's Unix time at a time of the monotonic clock, in seconds."""
        return monotonic + self.redis_ahead_s


@dataclass(frozen=True)
class Skipped:
    """A job that needs no mail, and why."""

    job_id: str
    reason: str


class LeaseState(StrEnum):
    """What became of a lease when it was renewed."""

    HELD = "held"
    UNWANTED = "unwanted"
    LOST = "lost"


@dataclass(frozen=True)
class Settlement:
    """What became of a claim; `next_try_in_s` counts from when it is written down.

    `tried` is false where no relay was asked, because all of them rest or because the worker stops. `waits_for_relay` is
    true where the mail is to be tried as soon as a relay answers again. `ambiguous` is true where a relay may have
    taken the mail and gave no answer.
    """

    claim: Claim
    outcome: DeliveryStatus
    next_try_in_s: float = 0.0
    relay_reply: str = ""
    tried: bool = True
    waits_for_relay: bool = False
    ambiguous: bool = False


class Deliveries:
    """The atomic steps. Each raises TransientError, Backpressure or PermanentError, and, but for `claim`, may
    be repeated after that."""

    def __init__(
        self,
        acknowledgement: Acknowledgement,
        rules: Rules,
        dead_letters: Retention | None = None,
        *,
        queue: Queue | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._acknowledgement = acknowledgement
        self._rules = rules
        self._queue = queue or Queue()
        self._monotonic = monotonic
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
            [self._queue.key, keyspace.DUE, keyspace.DEAD, keyspace.LATE, keyspace.LEASE_PREFIX + lease],
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
        return self._claims_of(client, step, lease)

    def recall(self, client: Redis, lease: str) -> list[Claim | Skipped]:
        """Return what was claimed under this lease by a `claim` whose answer got lost."""
        keys = [keyspace.DUE, keyspace.LEASE_PREFIX + lease]
        return self._claims_of(client, Step(RECALL, keys, [keyspace.RECORD_PREFIX, LEASE_S, lease]), lease)

    def _claims_of(self, client: Redis, step: Step, lease: str) -> list[Claim | Skipped]:
        claimed_at = self._monotonic()
        redis_time, replies = run_steps(client, [step], self._acknowledgement, _claimed_any)[0]
        # Redis said its time somewhere between the question and the answer: taken for the latest, no code lives too long.
        ahead_s = float(redis_time) - claimed_at
        return [_read_claim(reply, lease, ahead_s, claimed_at) for reply in replies]

    def extend(self, client: Redis, claims: Sequence[Claim]) -> list[LeaseState]:
        """Renew the leases of deliveries in flight; return for each whether it is still held, and still wanted."""
        pairs = [text for claim in claims for text in (claim.verification.id, claim.lease)]
        arguments: list[Argument] = [keyspace.RECORD_PREFIX, LEASE_S, LATE_AFTER_S, *pairs]
        step = Step(EXTEND, [keyspace.DUE, keyspace.LATE], arguments)
        return [LeaseState(reply.decode()) for reply in run_steps(client, [step], None)[0]]

    def wake(self, client: Redis, how_many: int, spread_s: float) -> int:
        """Have up to `how_many` of the mails that wait for a relay tried within `spread_s` seconds; return how many waited."""
        step = Step(
            WAKE, [keyspace.WAITING_FOR_RELAY, keyspace.DUE], [keyspace.RECORD_PREFIX, how_many, spread_s]
        )
        return int(run_steps(client, [step], self._acknowledgement)[0])

    def settle(self, client: Redis, settlements: Sequence[Settlement]) -> list[str]:
        """Write down what became of claims, in one round trip; return for each what the script said."""
        steps = [self._settle_step(settlement) for settlement in settlements]
        return _words(run_steps(client, steps, self._acknowledgement, each_for_itself=True))

    def put_off(self, client: Redis, how_many: int) -> int:
        """Look at up to `how_many` of what is due, and put off what still waits in the queue; return how many.

        No replica is waited for: should it be lost, they are looked at once more.
        """
        limits = (how_many, self.least_life_s, QUEUE_GRACE_S, LONGEST_GRACE_S, LEAST_SPEED)
        step = Step(PUT_OFF, [keyspace.DUE, self._queue.key], [keyspace.RECORD_PREFIX, *limits])
        return int(run_steps(client, [step], None)[0])

    def overdue(self, client: Redis, how_many: int) -> list[tuple[str, int]]:
        """List verification id and delivery number of what is due and not being worked on."""
        step = Step(OVERDUE, [keyspace.DUE], [keyspace.RECORD_PREFIX, how_many])
        flat = [text.decode() for text in run_steps(client, [step], None)[0]]
        return [(flat[index], int(flat[index + 1])) for index in range(0, len(flat), 2)]

    def requeue(
        self, client: Redis, overdue: Sequence[tuple[str, int]], *, reclaim_leases: bool
    ) -> list[str]:
        """Put fresh jobs into the queue for overdue deliveries, each once, however many workers do so at the same time."""
        steps = [self._requeue_step(*delivery, reclaim_leases) for delivery in overdue]
        return _words(run_steps(client, steps, self._acknowledgement, each_for_itself=True))

    def revive(self, client: Redis, verification_id: str, number: int | None) -> tuple[str, int]:
        """Make a delivery due now because an operator says so: a deferred one, or one that was given up.

        Without a number it is the newest of the verification. Gives what the script said, and the number.
        """
        step = self._revive_step(verification_id, number)
        what, found_number = run_steps(client, [step], self._acknowledgement)[0]
        return what.decode(), int(found_number or 0)

    def revive_all(self, client: Redis, turns: Sequence[tuple[str, int, float]]) -> list[str]:
        """Make deliveries due, each after so many seconds; return for each what the script said, in one round trip."""
        steps = [self._revive_step(*turn) for turn in turns]
        results = run_steps(client, steps, self._acknowledgement, each_for_itself=True)
        return ["malformed" if isinstance(each, Exception) else each[0].decode() for each in results]

    def abandon(self, client: Redis, verification_id: str, number: int) -> str:
        """Give up what is owed because an operator says so; return what the script said."""
        keys = [
            keyspace.record_key(verification_id),
            keyspace.DUE,
            keyspace.LATE,
            keyspace.WAITING_FOR_RELAY,
        ]
        step = Step(ABANDON, keys, [verification_id, number])
        return str(run_steps(client, [step], self._acknowledgement)[0].decode())

    def _revive_step(self, verification_id: str, number: int | None, in_s: float = 0.0) -> Step:
        return Step(
            REVIVE,
            [keyspace.record_key(verification_id), keyspace.DUE, keyspace.DEAD],
            [
                verification_id,
                "" if number is None else number,
                self.least_life_s,
                self._rules.max_check_attempts,
                in_s,
            ],
        )

    def _settle_step(self, settlement: Settlement) -> Step:
        claim = settlement.claim
        return Step(
            SETTLE,
            [
                keyspace.record_key(claim.verification.id),
                keyspace.DUE,
                keyspace.DEAD,
                keyspace.LATE,
                keyspace.WAITING_FOR_RELAY,
                keyspace.LAST_SENT,
            ],
            [
                claim.verification.id,
                claim.number,
                claim.lease,
                settlement.outcome.value,
                settlement.next_try_in_s,
                settlement.relay_reply,
                *self._dead_letters,
                int(settlement.tried),
                int(settlement.waits_for_relay),
                int(settlement.ambiguous),
            ],
        )

    def _requeue_step(self, verification_id: str, number: int, reclaim_leases: bool) -> Step:
        return Step(
            REQUEUE,
            [*queueing_keys(self._queue, verification_id, number), keyspace.DEAD, keyspace.LATE],
            [
                verification_id,
                number,
                QUEUE_GRACE_S,
                keyspace.job_id(verification_id, number),
                self.least_life_s,
                int(reclaim_leases),
                keyspace.RECORD_PREFIX,
                *self._dead_letters,
                *keyspace.job_fields(self._queue, verification_id, number),
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
            records = pipeline.execute(raise_on_error=False)
        for (verification_id, due_at), fields in zip(batch, records, strict=True):
            # A record that somebody spoiled is given up by recovery; it keeps nobody from seeing the others.
            with suppress(KeyError, ValueError, TypeError):
                if DeliveryStatus(fields[b"delivery_status"].decode()) in OWED:
                    yield report_of_record(verification_id.decode(), fields, float(due_at))


def _claimed_any(results: list[Any]) -> bool:
    return any(reply[0] == b"claimed" for reply in results[0][1])


def _words(results: list[Any]) -> list[str]:
    """Return what each script said; one that failed on what it found said its error."""
    return [result.decode() if isinstance(result, bytes) else f"failed: {result}" for result in results]


def _read_claim(reply: list[Any], lease: str, ahead_s: float, claimed_at: float) -> Claim | Skipped:
    if reply[0] != b"claimed":
        return Skipped(reply[1].decode(errors="replace"), reply[2].decode())
    try:
        verification = read_record(reply[1].decode(), pairs_to_fields(reply[3]))
    except MalformedRecord as error:
        return Skipped(f"{reply[1].decode()}-{int(reply[2])}", str(error))
    return Claim(verification, int(reply[2]), lease, ahead_s, claimed_at)
