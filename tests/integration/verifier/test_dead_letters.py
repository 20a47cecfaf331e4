"""Dead letters in a real Redis: one for each delivery given up, with what operators need, for a while only."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from sentinel import MasterLink, TransientError, wait_for
from tests.support.stores import Store, lose_answers, make_due
from verifier.domain.verifications import DeliveryStatus, Status, Verification
from verifier.store import deliveries as deliveries_module
from verifier.store import keyspace
from verifier.store.dead_letters import (
    Retention,
    dead_letters_named,
    dead_letters_of,
    discard_dead_letters,
    names_of_dead_letters,
    read_dead_letters,
)
from verifier.store.deliveries import Claim, Deliveries, Settlement, owed_deliveries
from verifier.store.delivery_reports import DeliveryReport
from verifier.wiring import acknowledgement_of

REJECTED, ABANDONED, SENT = DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED, DeliveryStatus.SENT
DEFERRED, QUEUED, SENDING = DeliveryStatus.DEFERRED, DeliveryStatus.QUEUED, DeliveryStatus.SENDING
REPLY = "relay.test:25: 5.1.1 no such user"


@pytest.fixture
def client(link: MasterLink) -> Redis:
    """The app's client, with no more than the app's rights."""
    return link.redis


def _settle(
    deliveries: Deliveries,
    client: Redis,
    outcome: DeliveryStatus,
    reply: str = REPLY,
    lease: str = "ours",
) -> Claim:
    """Claim the next delivery and settle it."""
    [claim] = deliveries.claim(client, lease, 1)
    assert isinstance(claim, Claim)
    assert deliveries.settle(client, [Settlement(claim, outcome, 5, reply)]) == ["settled"]
    return claim


def _letters(client: Redis) -> list[DeliveryReport]:
    return list(read_dead_letters(client, names_of_dead_letters(client)))


def _requeue_overdue(deliveries: Deliveries, client: Redis, *, reclaim: bool = True) -> list[str]:
    return deliveries.requeue(client, deliveries.overdue(client, 100), reclaim_leases=reclaim)


def _shorten_life(master: Redis, verification: Verification, life_s: float) -> None:
    master.hset(keyspace.record_key(verification.id), "expires_at", repr(time.time() + life_s))


@pytest.mark.parametrize("outcome", [REJECTED, ABANDONED])
def test_a_delivery_given_up_leaves_what_operators_need(
    store: Store, deliveries: Deliveries, client: Redis, outcome: DeliveryStatus
) -> None:
    """Whose mail it was, how often it was tried and when, and what the relay said."""
    verification = store.accepted()
    _settle(deliveries, client, outcome)
    [letter] = _letters(client)
    assert letter.name == f"{verification.id}-1"
    assert (letter.status, letter.address, letter.tries) == (outcome, "ann@example.org", 1)
    assert letter.relay_reply == REPLY
    assert letter.queued_at == verification.created_at
    assert letter.expires_at == verification.expires_at
    assert letter.given_up_at == pytest.approx(time.time(), abs=30)
    assert letter.first_failed_at == letter.last_failed_at == pytest.approx(letter.given_up_at, abs=0.001)
    assert letter.found_as == ""


def test_the_first_failure_is_kept_apart_from_the_last(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """And belongs to this delivery, not to the one before."""
    verification = store.accepted()
    _settle(deliveries, client, DEFERRED, "451 first")
    store.resent(verification)
    _settle(deliveries, client, DEFERRED, "451 again")
    begun = float(master.hget(keyspace.record_key(verification.id), "first_failed_at") or 0)
    make_due(master, verification)
    assert wait_for(lambda: time.time() > begun + 0.01, 30)
    assert _requeue_overdue(deliveries, client) == ["requeued"]
    _settle(deliveries, client, ABANDONED, "451 last")
    [letter] = _letters(client)
    assert (letter.number, letter.tries, letter.relay_reply) == (2, 2, "451 last")
    assert letter.first_failed_at == begun
    assert letter.last_failed_at is not None
    assert letter.last_failed_at > begun


@pytest.mark.parametrize("outcome", [SENT, DEFERRED, QUEUED])
def test_a_delivery_that_goes_on_or_went_out_leaves_none(
    store: Store, deliveries: Deliveries, client: Redis, outcome: DeliveryStatus
) -> None:
    """Only what was given up is dead."""
    store.accepted()
    _settle(deliveries, client, outcome)
    assert _letters(client) == []


@pytest.mark.parametrize("status", [Status.APPROVED, Status.CANCELED])
def test_a_mail_nobody_waits_for_any_more_leaves_none(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, status: Status
) -> None:
    """Whether the person was through before, during or after the try; or the attempts are used up."""
    before, during, tired = (store.accepted() for _ in range(3))
    store.end(before.id, status)
    assert deliveries.claim(client, "a", 1)[0].reason == "settled"  # type: ignore[union-attr]
    [claim] = deliveries.claim(client, "b", 1)
    assert isinstance(claim, Claim)
    store.end(during.id, status)
    deliveries.settle(client, [Settlement(claim, ABANDONED)])
    master.hset(keyspace.record_key(tired.id), "attempts", 3)
    assert deliveries.claim(client, "c", 1)[0].reason == "ended"  # type: ignore[union-attr]
    again = store.accepted()
    store.end(again.id, status)
    master.zadd(keyspace.DUE, {again.id: 1})
    master.hset(keyspace.record_key(again.id), "delivery_status", "sending")
    assert _requeue_overdue(deliveries, client) == ["abandoned"]
    assert _letters(client) == []


def test_a_worker_that_finds_too_little_life_left_leaves_one(
    store: Store, deliveries: Deliveries, client: Redis
) -> None:
    """Never tried, and it says so."""
    verification = store.accepted(life_s=30)
    assert deliveries.claim(client, "ours", 1)[0].reason == "expired"  # type: ignore[union-attr]
    [letter] = _letters(client)
    assert (letter.name, letter.status, letter.tries) == (f"{verification.id}-1", ABANDONED, 0)
    assert (letter.found_as, letter.first_failed_at) == ("queued", None)


def test_recovery_that_comes_too_late_leaves_one(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Of a deferred one with the relay's last words; of one that was in flight it is known that it was."""
    deferred, in_flight = store.accepted(), store.accepted()
    _settle(deliveries, client, DEFERRED, "451 come back later")
    deliveries.claim(client, "dead", 1)
    for each in (deferred, in_flight):
        _shorten_life(master, each, 10)
        make_due(master, each)
    assert _requeue_overdue(deliveries, client) == ["abandoned", "abandoned"]
    letters = {letter.verification_id: letter for letter in _letters(client)}
    assert letters[deferred.id].found_as == "deferred"
    assert letters[deferred.id].relay_reply == "451 come back later"
    assert letters[in_flight.id].found_as == "sending"


def test_a_mail_whose_record_ended_before_anybody_came_leaves_its_id(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """By whichever step finds out, once: an outage that long must not look like a quiet night."""
    by_claim, by_settle, by_recovery = (store.accepted() for _ in range(3))
    master.delete(keyspace.record_key(by_claim.id))
    assert deliveries.claim(client, "a", 1)[0].reason == "gone"  # type: ignore[union-attr]
    [claim] = deliveries.claim(client, "b", 1)
    assert isinstance(claim, Claim)
    master.delete(keyspace.record_key(by_settle.id), keyspace.record_key(by_recovery.id))
    for _ in range(2):
        assert deliveries.settle(client, [Settlement(claim, REJECTED)]) == ["gone"]
    make_due(master, by_recovery)
    assert _requeue_overdue(deliveries, client) == ["gone"]
    assert deliveries.claim(client, "c", 1)[0].reason == "gone"  # type: ignore[union-attr]
    letters = _letters(client)
    assert sorted(letter.name for letter in letters) == sorted(
        [f"{by_claim.id}-1", f"{by_settle.id}-1", f"{by_recovery.id}-0"]
    )
    assert {(letter.status, letter.found_as, letter.address) for letter in letters} == {
        (ABANDONED, "gone", "")
    }


def test_a_sent_mail_whose_record_ended_leaves_none(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """It went out."""
    verification = store.accepted()
    [claim] = deliveries.claim(client, "ours", 1)
    assert isinstance(claim, Claim)
    master.delete(keyspace.record_key(verification.id))
    assert deliveries.settle(client, [Settlement(claim, SENT)]) == ["gone"]
    assert _letters(client) == []


def test_settling_again_after_a_lost_answer_leaves_one(
    store: Store, deliveries: Deliveries, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat finds the lease gone."""
    store.accepted()
    [claim] = deliveries.claim(client, "ours", 1)
    assert isinstance(claim, Claim)
    lose_answers(monkeypatch, deliveries_module)
    settlement = Settlement(claim, REJECTED, relay_reply=REPLY)
    with pytest.raises(TransientError):
        deliveries.settle(client, [settlement])
    assert deliveries.settle(client, [settlement]) == ["lease lost"]
    assert len(_letters(client)) == 1


def test_a_mail_that_went_out_after_all_is_dead_no_longer(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Its worker was only away while recovery gave it up."""
    verification = store.accepted()
    [claim] = deliveries.claim(client, "slow", 1)
    assert isinstance(claim, Claim)
    _shorten_life(master, verification, 10)
    make_due(master, verification)
    assert _requeue_overdue(deliveries, client) == ["abandoned"]
    assert len(_letters(client)) == 1
    assert deliveries.settle(client, [Settlement(claim, SENT)]) == ["settled"]
    assert _letters(client) == []
    assert not master.exists(keyspace.dead_letter_key(f"{verification.id}-1"))


def test_a_letter_outlives_its_record_and_has_an_end(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """A week from when it was given up; the index lives as long as the newest."""
    verification = store.accepted()
    _settle(deliveries, client, REJECTED)
    master.delete(keyspace.record_key(verification.id))
    [letter] = dead_letters_of(client, verification.id, 5)
    assert letter.address == verification.address
    for key in (keyspace.DEAD, keyspace.dead_letter_key(letter.name)):
        assert 7 * 86400 - 10 < master.ttl(key) <= 7 * 86400


def test_only_the_newest_letters_are_kept(store: Store, client: Redis, master: Redis) -> None:
    """Index and letters go together."""
    few = Deliveries(acknowledgement_of(store.settings.redis), store.settings.rules, Retention(at_most=2))
    accepted = [store.accepted() for _ in range(4)]
    for _ in accepted:
        _settle(few, client, REJECTED)
    assert [letter.verification_id for letter in _letters(client)] == [accepted[3].id, accepted[2].id]
    assert len(list(master.scan_iter(f"{keyspace.DEAD}*"))) == 3


def test_letters_go_one_by_one_when_their_time_is_over(store: Store, client: Redis, master: Redis) -> None:
    """The next one to come sweeps the index of those before it."""
    short = Deliveries(acknowledgement_of(store.settings.redis), store.settings.rules, Retention(life_s=0.3))
    store.accepted()
    _settle(short, client, REJECTED)
    assert wait_for(lambda: _letters(client) == [], 30)
    assert wait_for(lambda: not master.exists(keyspace.DEAD), 30)
    master.zadd(keyspace.DEAD, {"0" * 32 + "-1": time.time() - 1})
    store.accepted()
    _settle(short, client, REJECTED)
    assert master.zcard(keyspace.DEAD) == 1


def test_a_letter_is_small(store: Store, deliveries: Deliveries, client: Redis, master: Redis) -> None:
    """A thousand of them, with a usual reply, take less than 700 bytes each, index included."""
    how_many = 1000
    store = store.limited_to(how_many)
    for _ in range(how_many):
        store.accepted()
    claims = [claim for claim in deliveries.claim(client, "ours", how_many) if isinstance(claim, Claim)]
    deliveries.settle(client, [Settlement(claim, REJECTED, relay_reply=REPLY) for claim in claims])
    keys = list(master.scan_iter(f"{keyspace.DEAD}*", count=1000))
    assert len(keys) == how_many + 1
    # MEMORY USAGE leaves out the entries of both of Redis's tables of keys, about 24 + 8 bytes each.
    used = sum(int(master.memory_usage(key, samples=0) or 0) + 64 for key in keys)
    assert used / how_many < 700


def test_discarded_letters_are_gone(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """With the rights of the app, and the others stay."""
    accepted = [store.accepted() for _ in range(3)]
    for _ in accepted:
        _settle(deliveries, client, REJECTED)
    names = [f"{each.id}-1" for each in accepted]
    discard_dead_letters(client, names[:2])
    discard_dead_letters(client, names[:2])
    assert [letter.name for letter in dead_letters_named(client, names)] == [names[2]]
    assert len(list(master.scan_iter(f"{keyspace.DEAD}*"))) == 2


# Revived by an operator


@pytest.mark.parametrize("outcome", [REJECTED, ABANDONED, DEFERRED])
def test_a_revived_delivery_is_due_now(
    store: Store, deliveries: Deliveries, client: Redis, outcome: DeliveryStatus
) -> None:
    """Recovery gives it a job at once; it is no dead letter any more, and may become one again, once."""
    verification = store.accepted()
    _settle(deliveries, client, outcome)
    for _ in range(2):  # as after a lost answer
        assert deliveries.revive(client, verification.id, None) == ("requeued", 1)
    assert _letters(client) == []
    assert [report.status for report in owed_deliveries(client)] == [DEFERRED]
    assert _requeue_overdue(deliveries, client) == ["requeued"]
    assert deliveries.revive(client, verification.id, 1) == ("queued", 1)
    claim = _settle(deliveries, client, REJECTED, lease="again")
    assert claim.verification.delivery.tries == 2
    assert [letter.tries for letter in _letters(client)] == [2]


@pytest.mark.parametrize("life", [(-1, "expired"), (30, "too late")])
def test_a_code_without_life_is_not_revived(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, life: tuple[float, str]
) -> None:
    """No dead code is mailed, whoever asks for it; the letter stays."""
    life_s, why = life
    verification = store.accepted()
    _settle(deliveries, client, REJECTED)
    _shorten_life(master, verification, life_s)
    assert deliveries.revive(client, verification.id, 1) == (why, 1)
    assert len(_letters(client)) == 1
    assert list(owed_deliveries(client)) == []


def test_what_nobody_waits_for_is_not_revived(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Ended, used up, superseded, sent, in flight, unknown: each is told apart, and nothing changes."""
    approved, canceled, used_up, superseded, sent, sending = (store.accepted() for _ in range(6))
    for _ in range(4):
        _settle(deliveries, client, REJECTED)
    _settle(deliveries, client, SENT)
    deliveries.claim(client, "now", 1)
    store.end(approved.id, Status.APPROVED)
    store.end(canceled.id, Status.CANCELED)
    master.hset(keyspace.record_key(used_up.id), "attempts", 3)
    store.resent(superseded)
    owed = master.zcard(keyspace.DUE)
    said = {
        "approved": deliveries.revive(client, approved.id, 1),
        "canceled": deliveries.revive(client, canceled.id, 1),
        "max_attempts_reached": deliveries.revive(client, used_up.id, 1),
        "superseded": deliveries.revive(client, superseded.id, 1),
        "sent": deliveries.revive(client, sent.id, 1),
        "sending": deliveries.revive(client, sending.id, 1),
        "gone": deliveries.revive(client, "f" * 32, None),
    }
    assert {what: said[what][0] for what in said} == dict(zip(said, said, strict=True))
    assert said["superseded"] == ("superseded", 2)
    assert master.zcard(keyspace.DUE) == owed
    assert len(_letters(client)) == 4
    assert not master.exists(keyspace.record_key("f" * 32))


def test_owed_deliveries_are_listed_by_when_they_are_due(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """With their state and the relay's last words; what has no record any more is left out."""
    deferred, sending, queued, forgotten = (store.accepted() for _ in range(4))
    _settle(deliveries, client, DEFERRED, "451 later")
    deliveries.claim(client, "now", 1)
    for place, each in enumerate((queued, deferred, forgotten, sending), start=1):
        master.zadd(keyspace.DUE, {each.id: place})
    master.delete(keyspace.record_key(forgotten.id))
    reports = list(owed_deliveries(client))
    assert [(report.verification_id, report.status) for report in reports] == [
        (queued.id, QUEUED),
        (deferred.id, DEFERRED),
        (sending.id, SENDING),
    ]
    assert reports[1].relay_reply == "451 later"
    assert reports[1].next_try_at is not None
    assert reports[1].due_at == 2
