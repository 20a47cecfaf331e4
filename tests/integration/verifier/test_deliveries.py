"""Deliveries in a real Redis: claimed by one worker, settled once, re-queued when due, whatever gets lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from sentinel import MasterLink
from tests.support.stores import Store, due_in_s, make_due, waiting_jobs
from verifier.domain.verifications import DeliveryStatus, Status, Verification
from verifier.store import keyspace
from verifier.store.dead_letters import Retention
from verifier.store.deliveries import LEASE_S, Claim, Deliveries, Settlement, Skipped

SENT, DEFERRED, QUEUED = DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.QUEUED
SENDING, REJECTED, ABANDONED = DeliveryStatus.SENDING, DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED
MANY = 100


@pytest.fixture
def client(link: MasterLink) -> Redis:
    """The workers' client."""
    return link.redis


def _claim(deliveries: Deliveries, client: Redis, lease: str = "ours") -> Claim:
    """Claim the next delivery."""
    [claim] = deliveries.claim(client, lease, 1)
    assert isinstance(claim, Claim)
    return claim


def _reason(found: list[Claim | Skipped]) -> str:
    [skipped] = found
    assert isinstance(skipped, Skipped)
    return skipped.reason


def _status(store: Store, verification: Verification) -> DeliveryStatus:
    return store.get(verification.id).delivery.status


def _lapse(master: Redis, *verifications: Verification) -> None:
    """Let the time pass until the leases of these are over."""
    make_due(master, *verifications)


# Claiming


def test_jobs_are_claimed_in_their_order(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """As many as asked for, the oldest first; what is claimed is gone from the queue."""
    accepted = [store.accepted() for _ in range(3)]
    claims = deliveries.claim(client, "ours", 2)
    assert [claim.verification.id for claim in claims if isinstance(claim, Claim)] == [
        each.id for each in accepted[:2]
    ]
    assert [claim.verification.id for claim in deliveries.claim(client, "ours", MANY)] == [accepted[2].id]  # type: ignore[union-attr]
    assert deliveries.claim(client, "ours", MANY) == []


def test_a_claim_is_a_lease(store: Store, deliveries: Deliveries, client: Redis, master: Redis) -> None:
    """The delivery is being sent, its try is counted, and it is due again when the lease is over."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    assert claim.number == 1
    assert claim.verification == store.get(verification.id)
    assert claim.verification.delivery.status is SENDING
    assert claim.verification.delivery.tries == 1
    due_s = due_in_s(master, verification)
    assert due_s is not None
    assert LEASE_S - 2 < due_s <= LEASE_S
    assert not master.exists(f"{keyspace.JOB_PREFIX}{verification.id}-1")


def test_a_named_job_is_claimed_by_its_name(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """As by an RQ worker that has taken the job off the queue itself; a second one finds it in flight."""
    verification = store.accepted()
    name = keyspace.job_id(verification.id, 1)
    assert isinstance(deliveries.claim(client, "ours", 1, [name])[0], Claim)
    assert _reason(deliveries.claim(client, "theirs", 1, [name])) == "in flight"
    assert _reason(deliveries.claim(client, "theirs", 1)) == "in flight"


def test_two_workers_never_claim_the_same_delivery(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Not even where its job stands in the queue twice."""
    accepted = {store.accepted().id for _ in range(20)}
    master.rpush(keyspace.QUEUE, *waiting_jobs(master))

    def claim(number: int) -> list[Claim | Skipped]:
        return deliveries.claim(client, f"worker-{number}", 10)

    with ThreadPoolExecutor(4) as pool:
        found = [each for some in pool.map(claim, range(4)) for each in some]
    claimed = [each.verification.id for each in found if isinstance(each, Claim)]
    assert sorted(claimed) == sorted(accepted)


def test_foreign_jobs_are_skipped(store: Store, deliveries: Deliveries, client: Redis, master: Redis) -> None:
    """Whatever somebody else put into the queue does not hold up ours."""
    foreign = ["e3b0c442-98fc-1c14-9afb-f4c8996fb924", "x", "", "é", "-1", "0" * 32]
    master.rpush(keyspace.QUEUE, *foreign)
    store.accepted()
    found = deliveries.claim(client, "ours", MANY)
    assert [each.reason for each in found if isinstance(each, Skipped)] == ["foreign"] * len(foreign)
    assert isinstance(found[-1], Claim)


def test_a_job_without_its_record_is_skipped(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """And its due entry is cleared away."""
    verification = store.accepted()
    master.delete(keyspace.record_key(verification.id))
    assert _reason(deliveries.claim(client, "ours", 1)) == "gone"
    assert master.zcard(keyspace.DUE) == 0


def test_of_a_resent_mail_only_the_newest_is_sent(
    store: Store, deliveries: Deliveries, client: Redis
) -> None:
    """The job of the one before is superseded."""
    verification = store.accepted()
    store.resent(verification)
    older, newer = deliveries.claim(client, "ours", MANY)
    assert isinstance(older, Skipped)
    assert older.reason == "superseded"
    assert isinstance(newer, Claim)
    assert newer.number == 2


@pytest.mark.parametrize("life_s", [0, 59])
def test_no_dead_code_is_claimed(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, life_s: float
) -> None:
    """With less than a minute of life left the delivery is given up."""
    verification = store.accepted(life_s=life_s)
    assert _reason(deliveries.claim(client, "ours", 1)) == "expired"
    assert _status(store, verification) is ABANDONED
    assert due_in_s(master, verification) is None


def test_a_code_with_just_enough_life_is_claimed(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """A little more than a minute."""
    store.accepted(life_s=65)
    assert _claim(deliveries, client)


def test_a_used_up_verification_gets_no_mail(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """After the last attempt its code is worth nothing."""
    verification = store.accepted()
    for _ in range(store.settings.rules.max_check_attempts):
        store.attempted(verification.id, store.settings.rules.max_check_attempts)
    assert _reason(deliveries.claim(client, "ours", 1)) == "ended"
    assert _status(store, verification) is ABANDONED
    assert due_in_s(master, verification) is None


def test_an_ended_verification_gets_no_mail(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """Its job may still stand in the queue."""
    verification = store.accepted()
    store.end(verification.id, Status.CANCELED)
    assert _reason(deliveries.claim(client, "ours", 1)) == "settled"


# Recalling


def test_claims_whose_answer_got_lost_are_recalled(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """By their lease, as they were claimed, and as often as it takes."""
    for _ in range(3):
        store.accepted()
    claims = deliveries.claim(client, "ours", 2)
    other = deliveries.claim(client, "theirs", 1)
    for _ in range(2):
        recalled = deliveries.recall(client, "ours")
        assert sorted(recalled, key=repr) == sorted(claims, key=repr)
    assert deliveries.recall(client, "theirs") == other
    assert deliveries.recall(client, "nobody's") == []


def test_recalling_renews_the_lease(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The time until the recall may have used up most of it."""
    verification = store.accepted()
    _claim(deliveries, client)
    _lapse(master, verification)
    assert deliveries.recall(client, "ours")
    due_s = due_in_s(master, verification)
    assert due_s is not None
    assert due_s > LEASE_S - 2


def test_what_is_settled_is_not_recalled(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """It was sent already."""
    store.accepted()
    deliveries.settle(client, [Settlement(_claim(deliveries, client), SENT)])
    assert deliveries.recall(client, "ours") == []


def test_what_somebody_else_took_over_is_not_recalled(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """A lease that was over belongs to whoever claimed after it."""
    verification = store.accepted()
    _claim(deliveries, client)
    _lapse(master, verification)
    deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True)
    theirs = _claim(deliveries, client, "theirs")
    assert deliveries.recall(client, "ours") == []
    assert deliveries.recall(client, "theirs") == [theirs]


# Renewing


def test_a_lease_is_renewed_by_its_holder_only(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Others move nothing."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    _lapse(master, verification)
    deliveries.extend(client, [Claim(claim.verification, claim.number, "theirs")])
    assert (due_in_s(master, verification) or 0) < 0
    deliveries.extend(client, [claim])
    assert (due_in_s(master, verification) or 0) > LEASE_S - 2


def test_a_settled_delivery_is_not_renewed(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Otherwise it would be owed again."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    deliveries.settle(client, [Settlement(claim, SENT)])
    deliveries.extend(client, [claim])
    assert due_in_s(master, verification) is None


# Settling


@pytest.mark.parametrize("outcome", [SENT, REJECTED, ABANDONED])
def test_a_final_outcome_owes_nothing_more(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, outcome: DeliveryStatus
) -> None:
    """It is written down with the relay's words; a sent mail with its time."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    assert deliveries.settle(client, [Settlement(claim, outcome, relay_reply="relay: 250 ok")]) == ["settled"]
    delivery = store.get(verification.id).delivery
    assert (delivery.status, delivery.relay_reply) == (outcome, "relay: 250 ok")
    assert (delivery.sent_at is not None) is (outcome is SENT)
    assert due_in_s(master, verification) is None


def test_a_deferred_mail_is_due_later(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """By Redis's clock, and the record says when."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    assert deliveries.settle(client, [Settlement(claim, DEFERRED, 420, "relay: 451 later")]) == ["settled"]
    delivery = store.get(verification.id).delivery
    assert delivery.status is DEFERRED
    assert delivery.next_try_at is not None
    due_s = due_in_s(master, verification)
    assert due_s is not None
    assert 360 < due_s <= 420
    assert delivery.next_try_at == pytest.approx(time.time() + due_s, abs=60)


def test_a_delivery_given_back_is_due_at_once_and_was_no_try(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """As by a worker that stops before it has started on it."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    assert deliveries.settle(client, [Settlement(claim, QUEUED, tried=False)]) == ["settled"]
    assert store.get(verification.id).delivery.tries == 0
    assert deliveries.overdue(client, MANY) == [(verification.id, 1)]
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=False) == ["requeued"]
    assert _claim(deliveries, client, "theirs").verification.delivery.tries == 1


def test_a_delivery_given_back_keeps_the_words_of_the_relay(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """What was not tried got no answer; a dead letter that comes of it still has the one before."""
    verification = store.accepted()
    refused = Settlement(_claim(deliveries, client), DEFERRED, 0.0, "relay: 535 refused")
    assert deliveries.settle(client, [refused]) == ["settled"]
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=False) == ["requeued"]
    assert deliveries.settle(client, [Settlement(_claim(deliveries, client), QUEUED, tried=False)]) == [
        "settled"
    ]
    assert store.get(verification.id).delivery.relay_reply == "relay: 535 refused"


def test_settling_again_after_a_lost_answer_changes_nothing(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """A sent mail stays sent, a deferred one is due when it was."""
    sent, deferred = store.accepted(), store.accepted()
    first, second = deliveries.claim(client, "ours", 2)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    settlements = [Settlement(first, SENT), Settlement(second, DEFERRED, 42)]
    assert deliveries.settle(client, settlements) == ["settled", "settled"]
    before = [store.get(sent.id), store.get(deferred.id), master.zscore(keyspace.DUE, deferred.id)]
    assert deliveries.settle(client, settlements)[0] == "repeated"
    assert [store.get(sent.id), store.get(deferred.id), master.zscore(keyspace.DUE, deferred.id)] == before
    assert due_in_s(master, sent) is None


@pytest.mark.parametrize("outcome", [DEFERRED, REJECTED, ABANDONED, QUEUED])
def test_who_lost_the_lease_has_no_say(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, outcome: DeliveryStatus
) -> None:
    """Unless the mail went out."""
    verification = store.accepted()
    ours = _claim(deliveries, client)
    _lapse(master, verification)
    deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True)
    _claim(deliveries, client, "theirs")
    before = store.get(verification.id)
    assert deliveries.settle(client, [Settlement(ours, outcome)]) == ["lease lost"]
    assert store.get(verification.id) == before


def test_a_mail_that_went_out_counts_whoever_holds_the_lease(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """And the holder's own trouble afterwards does not owe it again."""
    verification = store.accepted()
    ours = _claim(deliveries, client)
    _lapse(master, verification)
    deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True)
    theirs = _claim(deliveries, client, "theirs")
    assert deliveries.settle(client, [Settlement(ours, SENT)]) == ["settled"]
    assert deliveries.settle(client, [Settlement(theirs, DEFERRED, 5)]) == ["repeated"]
    assert _status(store, verification) is SENT
    assert due_in_s(master, verification) is None


def test_a_mail_that_went_out_while_its_job_was_queued_again_is_not_sent_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The settlement of the slow worker comes before the fresh job is claimed."""
    verification = store.accepted()
    ours = _claim(deliveries, client)
    _lapse(master, verification)
    deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True)
    assert deliveries.settle(client, [Settlement(ours, SENT)]) == ["settled"]
    assert _reason(deliveries.claim(client, "theirs", 1)) == "settled"


@pytest.mark.parametrize("outcome", [SENT, DEFERRED, REJECTED])
def test_the_outcome_of_a_superseded_mail_leaves_the_newer_one_alone(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, outcome: DeliveryStatus
) -> None:
    """A resend while the mail before was being sent is still owed."""
    verification = store.accepted()
    ours = _claim(deliveries, client)
    store.resent(verification)
    before = store.get(verification.id)
    assert deliveries.settle(client, [Settlement(ours, outcome, 5)]) == ["superseded"]
    assert store.get(verification.id) == before
    assert due_in_s(master, verification) is not None
    assert _claim(deliveries, client).number == 2


@pytest.mark.parametrize("outcome", [DEFERRED, QUEUED])
def test_a_person_who_is_done_is_not_written_to_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, outcome: DeliveryStatus
) -> None:
    """Where the verification ended during the try, there is no next one."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    store.end(verification.id, Status.APPROVED)
    assert due_in_s(master, verification) is not None
    deliveries.settle(client, [Settlement(claim, outcome, 5)])
    assert _status(store, verification) is ABANDONED
    assert due_in_s(master, verification) is None


def test_settling_what_is_gone_clears_up(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """No record comes into being by it."""
    verification = store.accepted()
    claim = _claim(deliveries, client)
    master.delete(keyspace.record_key(verification.id))
    assert deliveries.settle(client, [Settlement(claim, SENT)]) == ["gone"]
    assert master.zcard(keyspace.DUE) == 0
    assert not master.exists(keyspace.record_key(verification.id))


# Re-queueing


def _overdue(deliveries: Deliveries, client: Redis, *, reclaim_leases: bool = True) -> list[str]:
    """Do what recovery does in one round."""
    return deliveries.requeue(client, deliveries.overdue(client, MANY), reclaim_leases=reclaim_leases)


def test_nothing_is_overdue_that_has_time_left(store: Store, deliveries: Deliveries, client: Redis) -> None:
    """Neither in the queue, nor in flight, nor deferred."""
    store.accepted()
    claim = _claim(deliveries, client)
    store.accepted()
    assert deliveries.overdue(client, MANY) == []
    deliveries.settle(client, [Settlement(claim, DEFERRED, 30)])
    assert deliveries.overdue(client, MANY) == []
    assert deliveries.requeue(client, [(claim.verification.id, 1)], reclaim_leases=True) == ["not due"]


def test_a_queue_that_was_lost_whole_is_queued_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Each delivery once, in the order in which they were due."""
    accepted = [store.accepted() for _ in range(5)]
    master.delete(keyspace.QUEUE)
    make_due(master, *accepted)
    assert _overdue(deliveries, client) == ["requeued"] * 5
    assert sorted(waiting_jobs(master)) == sorted(f"{each.id}-1" for each in accepted)
    assert len(deliveries.claim(client, "ours", MANY)) == 5


def test_jobs_that_still_wait_are_not_queued_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """However long no worker comes: the queue does not grow."""
    accepted = [store.accepted() for _ in range(5)]
    before = waiting_jobs(master)
    for _ in range(3):
        make_due(master, *accepted)
        assert _overdue(deliveries, client) == ["waiting"] * 5
        assert deliveries.overdue(client, MANY) == []
    assert waiting_jobs(master) == before


def test_jobs_behind_one_that_was_superseded_are_not_queued_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """A resend gives a verification a new place, and its old job still stands at the head."""
    accepted = [store.accepted() for _ in range(3)]
    accepted[0] = store.resent(accepted[0])
    before = waiting_jobs(master)
    for _ in range(3):
        make_due(master, *accepted)
        assert set(_overdue(deliveries, client)) == {"waiting"}
    assert waiting_jobs(master) == before


def test_a_job_that_was_lost_from_the_head_is_queued_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """As by a worker or a master that died with it in its hands."""
    lost, waiting = store.accepted(), store.accepted()
    assert master.lpop(keyspace.QUEUE) == f"{lost.id}-1"
    make_due(master, lost, waiting)
    assert sorted(_overdue(deliveries, client)) == ["requeued", "waiting"]
    assert waiting_jobs(master) == [f"{waiting.id}-1", f"{lost.id}-1"]
    make_due(master, lost, waiting)
    assert _overdue(deliveries, client) == ["waiting", "waiting"]


def test_two_recoveries_at_once_queue_a_delivery_once(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Whoever comes second finds it not due any more."""
    accepted = [store.accepted() for _ in range(20)]
    master.delete(keyspace.QUEUE)
    make_due(master, *accepted)
    overdue = deliveries.overdue(client, MANY)
    with ThreadPoolExecutor(4) as pool:
        rounds = pool.map(lambda _: deliveries.requeue(client, overdue, reclaim_leases=True), range(4))
        replies = [reply for each in rounds for reply in each]
    assert replies.count("requeued") == 20
    assert replies.count("not due") == 60
    assert len(waiting_jobs(master)) == 20


def test_requeueing_again_after_a_lost_answer_queues_once(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The first try has moved the due time."""
    verification = store.accepted()
    master.delete(keyspace.QUEUE)
    make_due(master, verification)
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True) == ["requeued"]
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True) == ["not due"]
    assert len(waiting_jobs(master)) == 1


def test_a_dead_workers_delivery_is_queued_again(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """When its lease is over, and not while leases are still given time after an outage."""
    verification = store.accepted()
    _claim(deliveries, client)
    _lapse(master, verification)
    assert _overdue(deliveries, client, reclaim_leases=False) == ["held"]
    assert _status(store, verification) is SENDING
    assert waiting_jobs(master) == []
    _lapse(master, verification)
    assert _overdue(deliveries, client) == ["requeued"]
    assert _claim(deliveries, client, "theirs").verification.delivery.tries == 2


def test_a_deferred_delivery_is_queued_again_when_it_is_due(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Also behind others."""
    deferred = store.accepted()
    deliveries.settle(client, [Settlement(_claim(deliveries, client), DEFERRED, 5)])
    waiting = store.accepted()
    make_due(master, deferred)
    assert _overdue(deliveries, client, reclaim_leases=False) == ["requeued"]
    assert store.get(deferred.id).delivery.status is QUEUED
    assert store.get(deferred.id).delivery.next_try_at is None
    assert waiting_jobs(master) == [f"{waiting.id}-1", f"{deferred.id}-1"]


def test_an_expired_delivery_is_given_up_instead(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """No dead code is mailed."""
    verification = store.accepted(life_s=30)
    master.delete(keyspace.QUEUE)
    make_due(master, verification)
    assert _overdue(deliveries, client) == ["abandoned"]
    assert _status(store, verification) is ABANDONED
    assert master.zcard(keyspace.DUE) == 0
    assert waiting_jobs(master) == []


def test_a_due_entry_without_its_record_is_cleared_away(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Otherwise it would be looked at forever."""
    verification = store.accepted()
    master.delete(keyspace.QUEUE, keyspace.record_key(verification.id))
    make_due(master, verification)
    assert _overdue(deliveries, client) == ["gone"]
    assert master.zcard(keyspace.DUE) == 0


def test_a_delivery_that_was_superseded_meanwhile_is_left_alone(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The list of what is overdue may be old by a moment."""
    verification = store.resent(store.accepted())
    make_due(master, verification)
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True) == ["changed"]
    assert deliveries.overdue(client, MANY) == [(verification.id, 2)]


def test_a_settled_delivery_that_is_still_listed_is_cleared_away(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Its mail went out; only the list is behind."""
    verification = store.accepted()
    deliveries.settle(client, [Settlement(_claim(deliveries, client), SENT)])
    master.zadd(keyspace.DUE, {verification.id: 1})
    assert _overdue(deliveries, client) == ["settled"]
    assert master.zcard(keyspace.DUE) == 0


def test_recovery_looks_at_a_bounded_number(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The longest overdue first."""
    accepted = [store.accepted() for _ in range(3)]
    for place, each in enumerate(reversed(accepted)):
        master.zadd(keyspace.DUE, {each.id: place + 1})
    assert [each[0] for each in deliveries.overdue(client, 2)] == [accepted[2].id, accepted[1].id]


# What stands in Redis

UNBOUNDED_BY_TIME = {
    keyspace.DUE: "zset",  # one entry a verification that owes a mail, and no more than MAX_OWED_MAILS
    keyspace.SEQUENCE: "string",  # one number
    keyspace.LATE: "zset",  # some of those that owe a mail
    keyspace.WAITING_FOR_RELAY: "zset",  # the same, and dropped when their codes are dead
    keyspace.LAST_SENT: "string",  # one time
    keyspace.QUEUE: "list",  # a job for each entry above
    keyspace.QUEUES: "set",  # the names of the queues
}


def test_every_key_has_an_end_or_is_bounded(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Whatever becomes of verifications, nothing stays for good but a few keys that are bounded otherwise."""
    outcomes = [SENT, DEFERRED, REJECTED, ABANDONED, QUEUED]
    for outcome in outcomes:
        store.accepted()
        deliveries.settle(client, [Settlement(_claim(deliveries, client), outcome, 5, waits_for_relay=True)])
    lost = store.accepted()
    master.delete(keyspace.QUEUE)
    make_due(master, lost)
    _overdue(deliveries, client)
    _claim(deliveries, client)
    store.resent(store.accepted())
    store.attempted(lost.id, 5)
    store.end(store.accepted().id, Status.APPROVED)
    longest_s = 600 + store.settings.retention_s
    lasting = {}
    for key in master.scan_iter("*"):
        if (ttl := master.ttl(key)) < 0:
            lasting[key] = master.type(key)
        else:
            assert ttl <= (Retention().life_s if key.startswith(keyspace.DEAD) else longest_s), key
    assert lasting == UNBOUNDED_BY_TIME


def test_rq_reads_our_job(store: Store, client: Redis) -> None:
    """As its tools and any RQ worker do: what is called, with which ids, in whose words."""
    verification = store.accepted()
    job = Job.fetch(f"{verification.id}-1", connection=client, serializer=JSONSerializer)
    assert job.func_name == "workers.jobs.deliver"
    assert list(job.args) == [verification.id, 1]
    assert job.kwargs == {}
    assert job.origin == keyspace.Queue().name
    assert job.get_status() is JobStatus.QUEUED
    assert job.enqueued_at is not None
    assert job.timeout == keyspace.JOB_TIMEOUT_S
    assert job.description == "delivery 1"
    queue = Queue(keyspace.Queue().name, connection=client, serializer=JSONSerializer)
    assert queue.job_ids == [job.id]
    assert Queue.all(connection=client, serializer=JSONSerializer) == [queue]


def test_a_job_holds_no_personal_data(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Neither a new one nor one that recovery made."""
    verification = store.accepted()

    def fields() -> dict[str, str]:
        binary = Redis(connection_pool=client.connection_pool)
        found: Any = binary.hgetall(f"{keyspace.JOB_PREFIX}{verification.id}-1")
        return {name.decode(): value.decode("latin-1") for name, value in found.items()}

    def text() -> str:
        job = Job.fetch(f"{verification.id}-1", connection=client, serializer=JSONSerializer)
        return f"{fields()}{job.args}{job.kwargs}{job.meta}"

    first = text()
    master.delete(keyspace.QUEUE, f"{keyspace.JOB_PREFIX}{verification.id}-1")
    make_due(master, verification)
    assert _overdue(deliveries, client) == ["requeued"]
    for each in (first, text()):
        assert verification.id in each
        assert "ann" not in each
        assert "example.org" not in each
