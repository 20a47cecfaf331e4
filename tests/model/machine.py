"""Everything that can happen to verifications and their mails, in any order, on the real scripts.

No rule has a precondition: what does not apply does nothing. So what Hypothesis draws never depends on what Redis says,
and an example that failed fails again.
"""

# ruff: noqa: PT017 - what is asserted of an error is that the step may raise it at this moment

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis import ResponseError

from sentinel import Backpressure, NotAcknowledged
from tests.model.promises import LIFE_S, MAX_ATTEMPTS, MAX_OWED, RETENTION_S, Lease, Mail, Promises, record_of
from tests.model.redis_pair import RedisPair
from verifier.domain.errors import QueueFull, VerificationNotFound
from verifier.domain.rules import Rules
from verifier.domain.verifications import DeliveryStatus, Status
from verifier.store import keyspace
from verifier.store.deliveries import LEASE_S, Claim, Deliveries, LeaseState, Settlement, Skipped
from verifier.store.facts import WorkerReport, read_facts, send_heartbeat
from verifier.store.records import MalformedRecord
from verifier.store.scripts import Acknowledgement
from verifier.store.verifications import CANCELED_RETENTION_S, Attempt, Resend, VerificationStore

WORKERS = 3
KEY = "test"
SENT, DEFERRED, QUEUED = DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.QUEUED
REJECTED, ABANDONED = DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED
FIELDS = (
    *(
        "status",
        "delivery",
        "delivery_status",
        "expires_at",
        "attempts",
        "queued_at",
        "sequence",
        "tries",
        "lease",
    ),
    *("created_at", "key_id", "address", "sends", "next_try_at", "ambiguous"),
)
RUBBISH = (None, "", "rubbish", "-1", "1.5", "nan", "1e400")
BROKEN = (ResponseError, MalformedRecord, VerificationNotFound)

which = st.integers(0, 2**16)
workers = st.integers(0, WORKERS - 1)


class Unknown(Exception):
    """A step was not acknowledged: it may or may not have happened."""


class StoreMachine(RuleBasedStateMachine):
    """The service, its workers, its people and everything that breaks."""

    pair: ClassVar[RedisPair]
    ran: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.pair.start_over()
        self.promises = Promises()
        self.requests = 0
        self.settled: list[Settlement] = []
        self.asking = [""] * WORKERS
        self.hands: list[list[Lease]] = [[] for _ in range(WORKERS)]
        self.rules = Rules(max_check_attempts=MAX_ATTEMPTS, lifetime_s=LIFE_S)
        self.ran["examples"] += 1

    # What everybody uses

    @property
    def _acknowledgement(self) -> Acknowledgement:
        """While the replica is cut off, nobody has to wait to learn that it does not answer."""
        return Acknowledgement(1, 2 if self.pair.is_cut else 5000)

    @property
    def _store(self) -> VerificationStore:
        return VerificationStore(
            self.pair,  # type: ignore[arg-type]
            self._acknowledgement,
            retention_s=RETENTION_S,
            max_owed_mails=MAX_OWED,
        )

    @property
    def _deliveries(self) -> Deliveries:
        return Deliveries(self._acknowledgement, self.rules)

    def _now(self) -> float:
        seconds, microseconds = self.pair.client.time()
        return float(seconds + microseconds / 1e6)

    def _token(self) -> str:
        self.requests += 1
        return f"{self.requests:08x}"

    def _mail(self, number: int, having: Callable[[Mail], Any] = bool) -> Mail | None:
        """Return one of the newest that have something; None where none has."""
        mails = [mail for mail in self.promises.mails.values() if having(mail)][-6:]
        return mails[number % len(mails)] if mails else None

    def _record(self, mail: Mail) -> dict[str, str]:
        return {} if mail.corrupted else record_of(self.pair.client, mail.id)

    def _step(
        self, name: str, step: Callable[[], Any], *, on: Mail | None = None, may_refuse: bool = False
    ) -> Any:
        """Run a step; raise Unknown where it says so itself, or may be refused because Redis is full."""
        try:
            result = step()
        except NotAcknowledged as error:
            assert self.pair.is_cut, f"{name} was not acknowledged: {error}"
            self.ran[f"{name}: not acknowledged"] += 1
            raise Unknown from error
        except Backpressure as error:
            assert self.pair.is_full, f"{name} was refused: {error}"
            assert may_refuse, f"{name} must go through although Redis is full: {error}"
            self.ran[f"{name}: refused"] += 1
            raise Unknown from error
        except BROKEN as error:
            assert on is not None, f"{name} stumbled over somebody's record: {error}"
            gone = isinstance(error, VerificationNotFound) and not record_of(self.pair.client, on.id)
            assert on.corrupted or gone, f"{name} failed: {error}"
            raise Unknown from error
        self.ran[name] += 1
        return result

    # People

    @initialize(how_many=st.integers(1, 6))
    def begin(self, how_many: int) -> None:
        """Nothing happens where there is no mail."""
        self.accept(how_many)

    @rule(how_many=st.integers(1, 3))
    def accept(self, how_many: int) -> None:
        """Somebody asks for a verification."""
        for _ in range(how_many):
            mail_id = f"{len(self.promises.mails) + 1:032x}"
            self._accept(Mail(mail_id, kept_until=0.0), mail_id)

    @rule(number=which, by_other_id=st.booleans())
    def accept_again(self, number: int, by_other_id: bool) -> None:
        """The same request comes once more, perhaps after the key was changed by which ids are made."""
        mail = self._mail(number)
        if mail is None or mail.corrupted:
            return
        if not by_other_id:
            self._accept(mail, mail.id)
        elif self._record(mail):
            self._accept(mail, "f" * 32, mail.id)

    def _accept(self, mail: Mail, mail_id: str, *other_ids: str) -> None:
        before = self._record(mail)
        owed = self.pair.client.zcard(keyspace.DUE)
        if not before:
            # Its record was never written, or is gone since long ago: a new life, in which nothing is promised yet.
            mail = self.promises.mails[mail.id] = Mail(mail.id, self._now() + LIFE_S + RETENTION_S)
            self.settled = [each for each in self.settled if each.claim.verification.id != mail.id]
        try:
            found = self._step(
                "accept",
                lambda: self._store.accept(mail_id, "a@b.test", KEY, LIFE_S, other_ids),
                on=mail,
                may_refuse=not before,
            )
        except QueueFull:
            assert not before, "a repeat was refused"
            assert self.pair.is_full or owed >= MAX_OWED
            return
        except Unknown:
            return
        assert found.id == mail.id
        if before:
            after = self._record(mail)
            assert after == before, f"a repeat changed {before} to {after}"
            assert found.delivery.number == int(before["delivery"])
        else:
            assert not self.pair.is_full, "a mail was accepted although Redis is full"
            assert owed < MAX_OWED
        mail.accepted = True

    @rule(number=which, right=st.booleans(), key=st.sampled_from([KEY, KEY, KEY, "other"]))
    def check_code(self, number: int, right: bool, key: str) -> None:
        """Somebody types a code."""
        mail = self._mail(number)
        if (
            mail is not None
            and self._attempt(mail, self._token(), "right" if right else "wrong", key)
            and right
        ):
            self._end(mail, Status.APPROVED, self._token())

    @rule(number=which, fingerprint=st.sampled_from(["right", "wrong"]))
    def check_again(self, number: int, fingerprint: str) -> None:
        """The same request comes once more, or another one that reuses its id."""
        mail = self._mail(number, lambda mail: mail.counted)
        if mail is not None:
            request = list(mail.counted)[number % len(mail.counted)]
            self._attempt(mail, request, fingerprint, KEY)

    def _attempt(self, mail: Mail, request: str, fingerprint: str, key: str) -> bool:
        before, now = self._record(mail), self._now()
        try:
            what, _, judged_by = self._step(
                "check",
                lambda: self._store.count_attempt(mail.id, MAX_ATTEMPTS, request, fingerprint, [key]),
                on=mail,
            )
        except Unknown:
            return False
        if mail.corrupted:
            return False
        before_it = before.get(f"request:{request}")
        is_open = before["status"] == "pending" and float(before["expires_at"]) > now
        if key != KEY:
            expected = Attempt.UNKNOWN_KEY
        elif before_it is not None:
            expected = Attempt.REPEATED
        else:
            expected = (
                Attempt.COUNTED if is_open and int(before["attempts"]) < MAX_ATTEMPTS else Attempt.CLOSED
            )
        assert what is expected, f"{request} of {before}: {what}"
        counted = int(self._record(mail)["attempts"]) - int(before["attempts"])
        assert counted == (what is Attempt.COUNTED), f"{what}, and {counted} more attempts"
        if what.may_be_judged and mail.accepted:
            mail.counted[request] = fingerprint if before_it is None else before_it
            assert judged_by == mail.counted[request]
        return what.may_be_judged

    @rule(number=which)
    def cancel(self, number: int) -> None:
        """Somebody gives up."""
        if mail := self._mail(number):
            self._end(mail, Status.CANCELED, self._token())

    @rule(number=which)
    def end_again(self, number: int) -> None:
        """The request that ended a verification comes once more."""
        mail = self._mail(number, lambda mail: mail.decided)
        if mail is not None:
            self._end(mail, mail.decided, mail.decided_by)

    def _end(self, mail: Mail, status: Status, request: str) -> None:
        before = self._record(mail)
        if status is Status.CANCELED and before.get("status") == "pending":
            mail.kept_until = min(mail.kept_until, self._now() + CANCELED_RETENTION_S)
        if before.get("status") == "pending":
            mail.kept_until = min(mail.kept_until, self._now() + RETENTION_S)
        try:
            ours, found = self._step("end", lambda: self._store.end(mail.id, status, request), on=mail)
        except Unknown:
            return
        if mail.corrupted:
            return
        assert ours == (before["status"] == "pending" or before.get("ended_by") == request)
        assert found.decided is not Status.PENDING
        mail.decided, mail.decided_by = found.decided, before.get("ended_by", request)

    @rule(number=which, stale=st.booleans())
    def resend(self, number: int, stale: bool) -> None:
        """Somebody asks for the mail again."""
        if mail := self._mail(number):
            self._resend(mail, self._token(), int(stale))

    @rule(number=which)
    def resend_again(self, number: int) -> None:
        """The request that asked for the mail again comes once more."""
        mail = self._mail(number, lambda mail: mail.resent_by)
        if mail is not None:
            self._resend(mail, mail.resent_by, 1)

    def _resend(self, mail: Mail, request: str, behind: int) -> None:
        before, owed = self._record(mail), self.pair.client.zcard(keyspace.DUE)

        def step() -> tuple[Resend, int]:
            verification = self._store.get(mail.id)
            seen = verification.delivery.number - behind
            object.__setattr__(verification.delivery, "number", seen)
            return self._store.resend(verification, request), seen + 1

        is_repeat = request in before.get("resent_by", "").split()
        if before and before["status"] == "pending" and not behind and int(before["delivery"]) >= 5:
            return
        try:
            what, number = self._step("resend", step, on=mail, may_refuse=not is_repeat)
        except QueueFull:
            assert not is_repeat, "a repeat was refused"
            assert self.pair.is_full or owed >= MAX_OWED
            return
        except Unknown:
            return
        if mail.corrupted:
            return
        is_right = is_repeat or (before["status"] == "pending" and not behind)
        assert what is (Resend.ACCEPTED if is_right else Resend.CHANGED), f"{what}: {before}"
        after = self._record(mail)
        if is_repeat or what is Resend.CHANGED:
            assert after == before
        if what is Resend.ACCEPTED and mail.accepted:
            assert is_repeat or number == int(after["delivery"])
            mail.number, mail.resent_by = int(after["delivery"]), request

    # Workers

    @rule(worker=workers, how_many=st.integers(1, 10))
    def claim(self, worker: int, how_many: int) -> None:
        """A worker takes jobs; where the answer got lost before, it asks for that first."""
        self._claim(worker, lambda lease: self._deliveries.claim(self.pair.client, lease, how_many))

    @rule(worker=workers, number=which)
    def claim_by_name(self, worker: int, number: int) -> None:
        """A worker is given a job by its name."""
        if mail := self._mail(number):
            job_id = keyspace.job_id(mail.id, mail.number)
            self._claim(worker, lambda lease: self._deliveries.claim(self.pair.client, lease, 0, [job_id]))

    def _claim(self, worker: int, claim: Callable[[str], list[Claim | Skipped]]) -> None:
        lease = self.asking[worker]
        try:
            found: list[Claim | Skipped] = []
            if lease:
                found = self._step("recall", lambda: self._deliveries.recall(self.pair.client, lease))
            if not found:
                lease = self.asking[worker] = lease or self._token()
                found = self._step("claim", lambda: claim(lease), may_refuse=True)
        except Unknown:
            return
        self.asking[worker] = ""
        now = self._now()
        for each in found:
            if isinstance(each, Claim):
                granted = Lease(worker, each, each.claimed_at + each.redis_ahead_s + LEASE_S)
                self.promises.grant(granted, now)
                self.hands[worker].append(granted)
                self.ran["granted"] += 1
            else:
                self.ran[f"skipped: {each.reason if len(each.reason) < 20 else 'malformed'}"] += 1

    def _in_hand(self, worker: int) -> list[Lease]:
        """Return what a worker has in hand; one that has nothing takes something first."""
        if not self.hands[worker]:
            self.accept(1)
            self.claim(worker, 3)
        return self.hands[worker]

    @rule(worker=workers)
    def renew(self, worker: int) -> None:
        """A worker renews all that it has in hand, and drops what it has lost."""
        held, now = self._in_hand(worker), self._now()
        if not held:
            return
        states = self._step(
            "renew", lambda: self._deliveries.extend(self.pair.client, [each.claim for each in held])
        )
        for lease, state in zip(held, states, strict=True):
            mail = self.promises.mails[lease.delivery[0]]
            if state is LeaseState.LOST:
                surely = list(self.promises.holders(lease.delivery, now))
                superseded = self._number_of(mail) != lease.claim.number
                assert lease not in surely or superseded or mail.corrupted, f"a valid lease was lost: {lease}"
                lease.is_over = True
            elif not self.pair.is_cut:
                lease.until = max(lease.until, now + LEASE_S)
        self.hands[worker] = [lease for lease in held if not lease.is_over]

    def _number_of(self, mail: Mail) -> int | None:
        number = self._record(mail).get("delivery")
        return int(number) if number else None

    @rule(worker=workers, number=which)
    def relay_takes_it(self, worker: int, number: int) -> None:
        """The relay says 250, and the worker has not written it down yet."""
        if held := self._in_hand(worker):
            held[number % len(held)].relay_took_it = True

    @rule(
        worker=workers,
        number=which,
        outcome=st.sampled_from([SENT, SENT, DEFERRED, DEFERRED, REJECTED, ABANDONED, QUEUED]),
        waits=st.booleans(),
        ambiguous=st.booleans(),
        next_try_in_s=st.sampled_from([0.0, 4.0, 40.0]),
    )
    def settle(
        self,
        *,
        worker: int,
        number: int,
        outcome: DeliveryStatus,
        waits: bool,
        ambiguous: bool,
        next_try_in_s: float,
    ) -> None:
        """A worker writes down what became of a mail."""
        if held := self._in_hand(worker):
            lease = held[number % len(held)]
            outcome = SENT if lease.relay_took_it else outcome
            settlement = Settlement(
                lease.claim,
                outcome,
                next_try_in_s,
                "450 later",
                tried=outcome is not QUEUED,
                waits_for_relay=waits,
                ambiguous=ambiguous and outcome is DEFERRED,
            )
            self._settle(lease, settlement)

    def _settle(self, lease: Lease, settlement: Settlement) -> str:
        mail, number, now = self.promises.mails[lease.delivery[0]], lease.claim.number, self._now()
        before = self._record(mail)
        surely = list(self.promises.holders(lease.delivery, now))
        try:
            word: str = self._step(
                "settle", lambda: self._deliveries.settle(self.pair.client, [settlement])[0]
            )
        except Unknown:
            lease.is_over = True  # or not: whoever comes to have it is no proof of a mistake
            return "unknown"
        self.ran[f"settled as {settlement.outcome.value}: {word[:12]}"] += 1
        lease.is_over = True
        self.hands[lease.worker] = [each for each in self.hands[lease.worker] if each is not lease]
        if mail.corrupted:
            return word
        assert not word.startswith("failed"), word
        if not before:
            assert word == "gone", f"{word}: {settlement}"
        elif before["delivery"] != str(number):
            assert word == "superseded", f"{word}: {settlement}, {before}"
        elif before["delivery_status"] == "sent":
            assert word == "repeated", f"{word}: {settlement}, {before}"
        elif settlement.outcome is SENT or lease in surely:
            assert word == "settled", f"{word}: {settlement}, {before}"
        elif surely:
            assert word == "lease lost", f"{word}: {settlement} in spite of {surely}"
        self._note(mail, number, settlement, word)
        return word

    def _note(self, mail: Mail, number: int, settlement: Settlement, word: str) -> None:
        if word in {"settled", "repeated"} and settlement.outcome is SENT:
            mail.sent.add(number)
        if word == "settled":
            status = self._record(mail)["delivery_status"]
            if status in {"rejected", "abandoned"}:
                mail.given_up[number] = status
            if settlement.outcome is SENT:
                mail.given_up.pop(number, None)
            self.settled.append(settlement)

    @rule(number=which)
    def settle_again(self, number: int) -> None:
        """A worker that got no answer says the same once more."""
        if not self.settled:
            return
        settlement = self.settled[number % len(self.settled)]
        mail = self.promises.mails[settlement.claim.verification.id]
        before = self._record(mail)
        try:
            word = self._step(
                "settle again", lambda: self._deliveries.settle(self.pair.client, [settlement])[0]
            )
        except Unknown:
            return
        if not mail.corrupted:
            assert word in {"repeated", "superseded", "gone", "lease lost"}, (
                f"{word}: {settlement} of {before}"
            )
            assert self._record(mail) == before, f"a repeat changed {before}"

    @rule(worker=workers)
    def crash(self, worker: int) -> None:
        """A worker dies, before or after the relay took what it has in hand."""
        self.hands[worker], self.asking[worker] = [], ""

    @rule(
        after_s=st.sampled_from([0.0, 6.0, 10.0, 10.0]),
        how_many=st.sampled_from([1, 3, 100]),
        two=st.booleans(),
        reclaim=st.sampled_from([True, True, True, False]),
    )
    def recover(self, after_s: float, how_many: int, two: bool, reclaim: bool) -> None:
        """After some time one worker looks after what is due, or two do at the same time."""
        self.time_passes(after_s)
        client, deliveries, full = self.pair.client, self._deliveries, self.pair.is_full

        both_have_looked = Barrier(1 + two)

        def work() -> list[tuple[tuple[str, int], str]]:
            with suppress(Unknown):
                self._step("put off", lambda: deliveries.put_off(client, how_many), may_refuse=True)
            overdue = deliveries.overdue(client, how_many)
            both_have_looked.wait(20)
            words = self._step(
                "requeue",
                lambda: deliveries.requeue(client, overdue, reclaim_leases=reclaim),
                may_refuse=True,
            )
            return list(zip(overdue, words, strict=True))

        requeued: Counter[tuple[str, int]] = Counter()
        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(work) for _ in range(1 + two)]:
                try:
                    found = future.result()
                except Unknown:
                    continue
                for delivery, word in found:
                    self.ran[f"recovered: {word[:10]}"] += 1
                    mail = self.promises.mails[delivery[0]]
                    assert mail.corrupted or not word.startswith("failed"), f"{delivery}: {word}"
                    requeued[delivery] += word == "requeued"
        assert full or not requeued or max(requeued.values()) < 2, f"recovered twice: {requeued}"

    @rule(number=which, newest=st.booleans())
    def revive(self, number: int, newest: bool) -> None:
        """An operator wants a mail tried again."""
        mail = self._mail(number)
        if mail is None:
            return
        # Where this is not acknowledged nobody knows whether it happened.
        given_up, mail.given_up = mail.given_up, {}
        try:
            what, _ = self._step(
                "revive",
                lambda: self._deliveries.revive(self.pair.client, mail.id, None if newest else mail.number),
                on=mail,
                may_refuse=True,
            )
        except Unknown:
            return
        if what != "requeued":
            mail.given_up = given_up

    @rule(how_many=st.integers(1, 5), spread_s=st.sampled_from([0.0, 5.0]))
    def wake(self, how_many: int, spread_s: float) -> None:
        """A relay answers again."""
        waiting: Any = self.pair.client.zcard(keyspace.WAITING_FOR_RELAY)
        try:
            woken = self._step(
                "wake", lambda: self._deliveries.wake(self.pair.client, how_many, spread_s), may_refuse=True
            )
        except Unknown:
            return
        assert woken == min(how_many, waiting)

    @rule(worker=workers)
    def heartbeat(self, worker: int) -> None:
        """A worker says how it fares."""
        report = WorkerReport(f"worker-{worker}", ("The relay rests.",))
        self._step("heartbeat", lambda: send_heartbeat(self.pair.client, report))
        assert report in read_facts(self.pair.client, keyspace.Queue()).workers

    # What breaks

    @rule(seconds=st.sampled_from([0.5, 3.0, 6.0, 6.0, 10.0, 10.0, 10.0, 30.0, 70.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        """Leases run out, mails become due and late, codes die, records go."""
        self.pair.pass_time(seconds)
        self.promises.pass_time(seconds)

    @rule(number=which, what=st.sampled_from(["queue", "job", "all that RQ knows of it"]))
    def job_lost(self, number: int, what: str) -> None:
        """Somebody deletes the queue, or a job."""
        mail = self._mail(number)
        if mail is None:
            return
        job_id = keyspace.job_id(mail.id, mail.number)
        if what == "queue":
            self.pair.client.delete(keyspace.QUEUE)
            self.promises.foreign.clear()
        elif what == "job":
            self.pair.client.lrem(keyspace.QUEUE, 0, job_id)
        else:
            self.pair.client.delete(keyspace.JOB_PREFIX + job_id)

    @rule(
        job_id=st.sampled_from(
            ["abc-1", "report", "5c4f0b2e-0f5b-4c1e-9d5e-0b7b6a0f1d11", "x" * 32 + "-1", "\N{SNOWMAN}"]
        ),
        at_head=st.booleans(),
        how_many=st.sampled_from([1, 1, 25]),
    )
    def foreign_jobs(self, job_id: str, at_head: bool, how_many: int) -> None:
        """Somebody else uses our queue."""
        if self.pair.is_full:
            return
        jobs = [job_id] * how_many
        if at_head:
            self.pair.client.lpush(keyspace.QUEUE, *jobs)
        else:
            self.pair.client.rpush(keyspace.QUEUE, *jobs)
        if not self.pair.is_cut:
            self.promises.foreign.add(job_id)

    @rule(number=which, name=st.sampled_from(["", *FIELDS]), value=st.sampled_from(RUBBISH))
    def record_spoiled(self, number: int, name: str, value: str | None) -> None:
        """A field of a record goes, or comes to hold rubbish; or somebody writes something else to its key."""
        mail = self._mail(number)
        if mail is None or self.pair.is_full:
            return
        key = keyspace.record_key(mail.id)
        if not name:
            self.pair.client.set(key, "mine", ex=600)
        elif self.pair.client.type(key) != b"hash":
            return
        elif value is None:
            self.pair.client.hdel(key, name)
        else:
            self.pair.client.hset(key, name, value)
        mail.corrupted = True

    @rule(is_away=st.booleans())
    def replica(self, is_away: bool) -> None:
        """The replica misses what is written from now on, or gets everything that it has missed."""
        if is_away:
            self.pair.cut()
        else:
            self.pair.heal()

    @rule(is_stale=st.booleans(), follows=st.sampled_from([True, True, False]))
    def failover(self, is_stale: bool, follows: bool) -> None:
        """The other node becomes the master, perhaps without what was written last, which nobody was promised."""
        if not is_stale:
            self.pair.heal()
        was_cut = self.pair.is_cut
        self.pair.fail_over()
        if was_cut:
            self.promises.foreign.clear()
        if follows:
            self.pair.heal()
        self.ran["stale failovers" if was_cut else "failovers"] += 1

    @rule(is_full=st.booleans(), known=st.booleans())
    def memory(self, is_full: bool, known: bool) -> None:
        """Redis reaches its maxmemory, or is given more."""
        if is_full:
            self.pair.fill_up(known=known)
        else:
            self.pair.make_room()

    @invariant()
    def promises_are_kept(self) -> None:
        """After each step."""
        self.ran["steps"] += 1
        self.promises.check(self.pair.client)

    def teardown(self) -> None:
        """With everything in order again, everything that was promised comes to an end."""
        if sys.exc_info()[0] is None:
            self._bring_to_an_end()

    def _bring_to_an_end(self) -> None:
        self.pair.make_room()
        self.pair.heal()
        now = self._now()
        to_be_sent = [mail for mail in self.promises.mails.values() if self._must_be_sent(mail, now)]
        for _ in range(12):
            self._work_off()
        for mail in to_be_sent:
            record = self._record(mail)
            assert record["delivery_status"] == "sent", f"it never went out: {mail}, {record}"
        self.time_passes(3000.0)
        for _ in range(3):
            self._work_off()
        left = {name: self.pair.client.zrange(name, 0, -1) for name in (keyspace.DUE, keyspace.LATE)}
        assert not any(left.values()), f"never to be settled: {left}, {self.promises.mails}"
        self.ran["sent at the end"] += len(to_be_sent)

    def _must_be_sent(self, mail: Mail, now: float) -> bool:
        record = self._record(mail)
        return (
            mail.accepted
            and bool(record)
            and record["status"] == "pending"
            and record["delivery_status"] in {"queued", "deferred", "sending"}
            and int(record["attempts"]) < MAX_ATTEMPTS
            and float(record["expires_at"]) > now + 300
        )

    def _work_off(self) -> None:
        self.recover(12.0, 100, two=False, reclaim=True)
        for worker in range(WORKERS):
            self.hands[worker] = []
            self.claim(worker, 10)
            for lease in list(self.hands[worker]):
                self._settle(lease, Settlement(lease.claim, SENT))
        self.promises_are_kept()
