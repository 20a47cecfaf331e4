"""What the service has promised, as far as its steps returned, and what must hold in Redis after each step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from verifier.domain.verifications import OWED, DeliveryStatus, Status
from verifier.store import keyspace
from verifier.store.deliveries import Claim
from verifier.store.facts import read_facts

MAX_ATTEMPTS = 3
MAX_OWED = 12
LIFE_S = 600.0
RETENTION_S = 120.0
TOLERANCE_S = 0.005
# Keys without a time to live, each of which is bounded by what is owed (or that it is one number).
BOUNDED = {
    keyspace.DUE,
    keyspace.LATE,
    keyspace.WAITING_FOR_RELAY,
    keyspace.SEQUENCE,
    keyspace.LAST_SENT,
    keyspace.WORKERS,
    keyspace.QUEUE,
    keyspace.QUEUES,
}
WITH_TTL = re.compile(r"verifier:(verification|lease|dead|worker):.+|verifier:(room|dead)|rq:job:.+")
_OWED = {status.value for status in OWED}


@dataclass
class Mail:
    """One verification: what was acknowledged of it, and what was done to it."""

    id: str
    kept_until: float
    number: int = 1
    """The newest delivery that was acknowledged as accepted."""
    accepted: bool = False
    corrupted: bool = False
    decided: Status | None = None
    decided_by: str = ""
    resent_by: str = ""
    counted: dict[str, str] = field(default_factory=dict)
    """The requests whose attempts were acknowledged as counted, and the fingerprint of each."""
    sent: set[int] = field(default_factory=set)
    given_up: dict[int, str] = field(default_factory=dict)
    """Deliveries that were acknowledged as rejected or abandoned, and not revived."""
    last_seen: dict[str, str] = field(default_factory=dict)


@dataclass
class Lease:
    """A claim that was granted, for as long as it holds."""

    worker: int
    claim: Claim
    until: float
    """By Redis's clock; renewals that no replica has do not count."""
    is_over: bool = False
    """Settled, or nobody knows because the answer was lost."""
    relay_took_it: bool = False

    @property
    def delivery(self) -> tuple[str, int]:
        """Which delivery is leased."""
        return self.claim.verification.id, self.claim.number


@dataclass
class Promises:
    """The model."""

    mails: dict[str, Mail] = field(default_factory=dict)
    leases: list[Lease] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)

    def pass_time(self, seconds: float) -> None:
        """Make everything older."""
        for mail in self.mails.values():
            mail.kept_until -= seconds
        for lease in self.leases:
            lease.until -= seconds

    def holders(self, delivery: tuple[str, int], now: float) -> Iterator[Lease]:
        """Name those whose lease of a delivery surely holds."""
        for lease in self.leases:
            if lease.delivery == delivery and not lease.is_over and lease.until > now + TOLERANCE_S:
                yield lease

    def grant(self, lease: Lease, now: float) -> None:
        """Note a lease that a worker was granted at this time, which nobody else may hold."""
        mail = self.mails[lease.delivery[0]]
        if not mail.corrupted:
            others = [
                each for each in self.holders(lease.delivery, now) if each.claim.lease != lease.claim.lease
            ]
            assert not others, f"two valid leases: {lease} beside {others}"
            assert lease.claim.number not in mail.sent, f"a sent mail was claimed: {lease}"
            assert lease.claim.number not in mail.given_up, f"a mail that was given up was claimed: {lease}"
        self.leases = [
            each
            for each in self.leases
            if each.claim.lease != lease.claim.lease or each.delivery != lease.delivery
        ]
        self.leases.append(lease)

    def check(self, client: Redis) -> None:
        """Compare everything that Redis holds with what was promised."""
        Snapshot.read(client).check(self)


@dataclass
class Snapshot:
    """All that Redis holds, at one moment."""

    client: Redis
    now: float
    ttls: dict[str, int]
    records: dict[str, dict[str, str]]
    due: dict[str, float]
    late: dict[str, float]
    waiting: dict[str, float]
    queue: list[str]

    @classmethod
    def read(cls, client: Redis) -> Snapshot:
        """Read it."""
        keys: list[bytes] = sorted(client.keys("*"))  # type: ignore[arg-type]
        records = [key for key in keys if key.startswith(keyspace.RECORD_PREFIX.encode())]
        with client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for name in (keyspace.DUE, keyspace.LATE, keyspace.WAITING_FOR_RELAY):
                pipeline.zrange(name, 0, -1, withscores=True)
            pipeline.lrange(keyspace.QUEUE, 0, -1)
            for key in keys:
                pipeline.pttl(key)
            for key in records:
                pipeline.hgetall(key)
            (s, us), *sets, queue = (results := pipeline.execute(raise_on_error=False))[:5]
        hashes = results[5 + len(keys) :]
        return cls(
            client,
            s + us / 1e6,
            {key.decode(): ttl for key, ttl in zip(keys, results[5:], strict=False)},
            {
                key.decode().removeprefix(keyspace.RECORD_PREFIX): _texts(found)
                for key, found in zip(records, hashes, strict=True)
                if isinstance(found, dict)
            },
            *({name.decode(): score for name, score in each} for each in sets),
            [job.decode() for job in queue],
        )

    def check(self, promises: Promises) -> None:
        """Assert that each invariant holds."""
        self._check_keys()
        for mail in promises.mails.values():
            if not mail.corrupted:
                self._check_mail(mail)
        known = promises.mails.keys()
        assert set(self.due) <= known, "somebody is owed a mail who never asked"
        assert set(self.late) <= set(self.due), f"late, but not owed: {set(self.late) - set(self.due)}"
        # Ids stay in this set when a mail is asked for again or its verification ends; they go when they are
        # woken, or when their codes are dead and another mail comes to wait.
        assert set(self.waiting) <= known
        assert promises.foreign <= set(self.queue), "somebody else's job was swallowed"
        self._check_facts(promises)

    def _check_keys(self) -> None:
        for key, ttl_ms in self.ttls.items():
            if key not in BOUNDED:
                assert WITH_TTL.fullmatch(key), f"nobody knows the key {key}"
                assert ttl_ms != -1, f"{key} stays forever"
        assert len(self.due) <= 2 * MAX_OWED

    def _check_mail(self, mail: Mail) -> None:
        record = self.records.get(mail.id)
        if record is None:
            self._check_gone(mail)
            return
        self._check_record(mail.id, record)
        if mail.accepted:
            self._check_promises(mail, record)
        mail.last_seen = record

    def _check_gone(self, mail: Mail) -> None:
        seen = mail.last_seen
        if not mail.accepted:
            return
        assert mail.kept_until < self.now + 1, f"the record of {mail} is gone too early"
        if seen and seen["status"] == "pending" and seen["delivery_status"] in _OWED:
            assert mail.id in self.due or self._has_letter(mail.id, seen["delivery"], "0"), (
                f"{mail} was forgotten"
            )

    def _check_record(self, mail_id: str, record: dict[str, str]) -> None:
        """Assert that a record and the sets agree, whether it was acknowledged or not."""
        what, is_pending = record["delivery_status"], record["status"] == "pending"
        about = f"{mail_id}: {record}"
        assert (what in _OWED) == (mail_id in self.due), f"owed and due disagree: {about}"
        assert what == "sending" or is_pending or mail_id not in self.due, f"ended, but owed: {about}"
        assert (what == "sending") == ("lease" in record), f"sending and lease disagree: {about}"
        attempts = int(record["attempts"])
        assert attempts <= MAX_ATTEMPTS, about
        assert attempts == sum(name.startswith("request:") for name in record), f"counted twice: {about}"
        assert int(record["tries"]) >= 0, about
        has_letter = self._has_letter(mail_id, record["delivery"])
        if what == "rejected" or (what == "abandoned" and is_pending and attempts < MAX_ATTEMPTS):
            assert has_letter, f"given up without a letter: {about}"
        if what == "sent":
            assert not has_letter, f"sent, but dead: {about}"

    def _check_promises(self, mail: Mail, record: dict[str, str]) -> None:
        number, what = int(record["delivery"]), record["delivery_status"]
        about = f"{mail}: {record}"
        assert number >= mail.number, f"a resend was forgotten: {about}"
        if number in mail.sent:
            assert what == "sent", f"sent, and now {what}: {about}"
        if number in mail.given_up:
            assert what in {mail.given_up[number], "sent"}, f"given up, and now {what}: {about}"
        if mail.decided:
            assert record["status"] == mail.decided.value, about
        for request in mail.counted:
            assert f"request:{request}" in record, f"an attempt was forgotten: {about}"

    def _check_facts(self, promises: Promises) -> None:
        facts = read_facts(self.client, keyspace.Queue())
        assert facts.owed == len(self.due)
        queued_at: dict[str, float] = {}
        for mail_id in self.due:
            if promises.mails[mail_id].corrupted or mail_id not in self.records:
                return
            queued_at[mail_id] = float(self.records[mail_id]["queued_at"])
        ages = {mail_id: self.now - at for mail_id, at in queued_at.items()}
        assert facts.oldest_owed_s <= max(ages.values(), default=0.0) + 1, f"{facts}, but {ages}"
        # What is in flight for the first time, or whose job was lost, is seen when its lease is renewed or it is recovered.
        seen = [age for mail_id, age in ages.items() if self._must_be_seen(mail_id)]
        assert facts.oldest_owed_s >= max(seen, default=0.0) - TOLERANCE_S, f"{facts}, but {seen}"

    def _must_be_seen(self, mail_id: str) -> bool:
        record = self.records[mail_id]
        first = self.queue[:20]
        return mail_id in self.late or (
            record["delivery_status"] == DeliveryStatus.QUEUED
            and keyspace.job_id(mail_id, int(record["delivery"])) in first
        )

    def _has_letter(self, mail_id: str, *numbers: str) -> bool:
        return any(f"{keyspace.DEAD}:{mail_id}-{number}" in self.ttls for number in numbers)


def _texts(found: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in found.items()}


def record_of(client: Redis, mail_id: str) -> dict[str, str]:
    """Read one record; empty where there is none."""
    found: Any = client.hgetall(keyspace.record_key(mail_id))
    return _texts(found)
