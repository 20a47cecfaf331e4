"""What random orders of steps found in the store (tests/model), each as a plain case."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import NoScriptError

from sentinel import MasterLink, MasterNotReady
from tests.support.stores import Store, make_due, waiting_jobs
from verifier.domain.errors import ServiceUnavailable
from verifier.domain.verifications import DeliveryStatus, Verification
from verifier.service import VerificationService
from verifier.store import keyspace
from verifier.store.dead_letters import names_of_dead_letters
from verifier.store.deliveries import Claim, Deliveries, LeaseState, Settlement, owed_deliveries
from verifier.store.facts import read_facts
from verifier.store.keyspace import QUEUE, Queue, record_key
from verifier.store.scripts import Step, run_steps
from verifier.store.verifications import ATTEMPT, Resend

FOREIGN = "5c4f0b2e-0f5b-4c1e-9d5e-0b7b6a0f1d11"


@pytest.fixture
def client(link: MasterLink) -> Redis:
    """The workers' client."""
    return link.redis


def _claims(deliveries: Deliveries, client: Redis, lease: str = "ours") -> dict[str, Claim]:
    found = deliveries.claim(client, lease, 10)
    return {each.verification.id: each for each in found if isinstance(each, Claim)}


def _replace(master: Redis, verification: Verification) -> None:
    """Have somebody write something else to the key of a record."""
    master.set(record_key(verification.id), "mine", ex=60)


def test_a_replaced_record_costs_no_other_claim(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The jobs that were taken off the queue together with its job are claimed all the same, before and behind it."""
    before, replaced, behind = (store.accepted() for _ in range(3))
    _replace(master, replaced)
    assert set(_claims(deliveries, client)) == {before.id, behind.id}
    assert [name for name, _ in names_of_dead_letters(client)] == [f"{replaced.id}-1"]
    assert master.zscore(keyspace.DUE, replaced.id) is None


@pytest.mark.parametrize("tries", ["rubbish", "", "1.5"])
def test_tries_that_are_no_number_cost_no_other_claim(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, tries: str
) -> None:
    """Nothing can be added to it, which failed for all that were claimed together, again and again."""
    malformed, other = store.accepted(), store.accepted()
    master.hset(record_key(malformed.id), "tries", tries)
    assert set(_claims(deliveries, client)) == {other.id}
    assert master.zscore(keyspace.DUE, malformed.id) is None


def test_a_replaced_record_costs_no_other_lease(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Renewing and recalling go through for all others."""
    replaced, other = store.accepted(), store.accepted()
    claims = _claims(deliveries, client)
    _replace(master, replaced)
    states = deliveries.extend(client, [claims[replaced.id], claims[other.id]])
    assert states == [LeaseState.LOST, LeaseState.HELD]
    [recalled] = deliveries.recall(client, "ours")
    assert isinstance(recalled, Claim)
    assert recalled.verification.id == other.id


def test_a_replaced_record_is_not_woken(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """Those that wait for a relay together with it are."""
    replaced, other = store.accepted(), store.accepted()
    claims = _claims(deliveries, client)
    deliveries.settle(
        client,
        [Settlement(each, DeliveryStatus.DEFERRED, 60, waits_for_relay=True) for each in claims.values()],
    )
    _replace(master, replaced)
    assert deliveries.wake(client, 10, 0.0) == 2
    assert [due for due, _ in deliveries.overdue(client, 10)] == [other.id]


def test_a_replaced_record_at_the_head_stalls_no_recovery(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """How far the queue has got, the next job tells."""
    lost, replaced, waiting = (store.accepted() for _ in range(3))
    master.lrem(QUEUE, 0, f"{lost.id}-1")
    _replace(master, replaced)
    make_due(master, lost, waiting)
    assert deliveries.put_off(client, 10) == 1
    assert deliveries.requeue(client, [(lost.id, 1)], reclaim_leases=True) == ["requeued"]


@pytest.mark.parametrize("foreign", [1, 30])
def test_a_strangers_job_at_the_head_stalls_no_recovery(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, foreign: int
) -> None:
    """It is put back each time, so it stands there for as long as nothing else does."""
    lost = store.accepted()
    master.delete(QUEUE)
    master.rpush(QUEUE, *[FOREIGN] * foreign)
    make_due(master, lost)
    assert deliveries.requeue(client, [(lost.id, 1)], reclaim_leases=True) == ["requeued"]
    assert waiting_jobs(master).count(f"{lost.id}-1") == 1


@pytest.mark.parametrize("number", ["1.5", "-1", "nan"])
def test_a_number_that_is_none_is_not_due_forever(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, number: str
) -> None:
    """It was taken for that of a newer delivery, and stood before everything else that was due."""
    malformed = store.accepted()
    master.hset(record_key(malformed.id), "delivery", number)
    make_due(master, malformed)
    assert deliveries.requeue(client, deliveries.overdue(client, 10), reclaim_leases=True) == ["malformed"]
    assert deliveries.overdue(client, 10) == []


@pytest.mark.parametrize("field", ["delivery", "expires_at", "attempts"])
def test_a_malformed_record_is_not_revived(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, field: str
) -> None:
    """The command says why, and goes on with others."""
    malformed = store.accepted()
    master.hset(record_key(malformed.id), field, "rubbish")
    assert deliveries.revive(client, malformed.id, None) == ("malformed", 0)


def test_a_sent_mail_is_no_dead_letter_although_somebody_else_was_refused(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The relay took the mail of the first, whose lease was over, and then refused that of the second."""
    verification = store.accepted()
    first = _claims(deliveries, client)[verification.id]
    make_due(master, verification)
    deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=True)
    second = _claims(deliveries, client, "theirs")[verification.id]
    assert deliveries.settle(client, [Settlement(second, DeliveryStatus.REJECTED)]) == ["settled"]
    assert deliveries.settle(client, [Settlement(first, DeliveryStatus.SENT)]) == ["settled"]
    assert names_of_dead_letters(client) == []


@pytest.fixture
def fill(master: Redis) -> Iterator[Callable[[], None]]:
    """What makes Redis full until the test ends."""
    limit = master.config_get("maxmemory")["maxmemory"]
    yield lambda: master.config_set("maxmemory", 1_000_000)
    master.config_set("maxmemory", limit)


def test_a_resend_is_repeated_although_redis_is_full(store: Store, fill: Callable[[], None]) -> None:
    """What was accepted is said once more."""
    verification, request = store.accepted(), secrets.token_hex(8)
    assert store.resend(verification, request) is Resend.ACCEPTED
    fill()
    assert store.resend(verification, request) is Resend.ACCEPTED


def test_recovery_goes_on_although_redis_is_full(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis, fill: Callable[[], None]
) -> None:
    """What only waits or is held keeps nothing else from being tried."""
    held, deferred, waiting, other = (store.accepted() for _ in range(4))
    claims = {}
    for each in deliveries.claim(client, "ours", 2):
        assert isinstance(each, Claim)
        claims[each.verification.id] = each
    deliveries.settle(client, [Settlement(claims[deferred.id], DeliveryStatus.DEFERRED, 60)])
    make_due(master, held, waiting, other)
    fill()
    assert deliveries.requeue(client, [(held.id, 1)], reclaim_leases=False) == ["held"]
    assert deliveries.revive(client, deferred.id, None) == ("requeued", 1)
    assert deliveries.requeue(client, [(waiting.id, 1), (deferred.id, 1)], reclaim_leases=False) == [
        "waiting",
        "requeued",
    ]
    assert deliveries.put_off(client, 10) == 1


@pytest.mark.parametrize("step", ["check", "resend", "cancel"])
def test_a_spoiled_record_is_no_error_of_the_program(store: Store, master: Redis, step: str) -> None:
    """The person is told to come back, and the operator finds it in the log."""
    verification = store.accepted()
    service = VerificationService(store, store.settings.keys, store.settings.rules)
    master.hset(
        record_key(verification.id), mapping={"attempts": "many", "expires_at": "never", "sends": "x"}
    )
    with pytest.raises(ServiceUnavailable):
        {
            "check": lambda: service.check(verification.id, "123456"),
            "resend": lambda: service.resend(verification.id),
            "cancel": lambda: service.cancel(verification.id),
        }[step]()


def test_a_spoiled_record_hides_no_other_from_operators(store: Store, client: Redis, master: Redis) -> None:
    """What is owed is listed all the same."""
    missing, replaced, whole = (store.accepted() for _ in range(3))
    master.hdel(record_key(missing.id), "delivery_status")
    _replace(master, replaced)
    assert [report.verification_id for report in owed_deliveries(client)] == [whole.id]


def test_a_master_that_forgets_a_script_again_is_not_ready(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was promoted between the loading and the running; that passes, and is no error of the program."""

    def forgetful(*_: object) -> None:
        raise NoScriptError("NOSCRIPT No matching script")

    monkeypatch.setattr("verifier.store.scripts._run_once", forgetful)
    with pytest.raises(MasterNotReady, match="just loaded"):
        run_steps(store._link.redis, [Step(ATTEMPT, ["verifier:x", "verifier:due"], [1, "r", ""])], None)


# Beside an older release, while web and workers are replaced one after the other


def test_a_mail_in_the_queue_of_the_older_release_is_taken_over(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """The queue has got another name; whatever waits in the old one gets a job in the new one."""
    verification = store.accepted()
    master.rename(QUEUE, "rq:queue:mail")
    make_due(master, verification)
    assert deliveries.put_off(client, 10) == 0
    assert deliveries.requeue(client, [(verification.id, 1)], reclaim_leases=False) == ["requeued"]
    assert set(_claims(deliveries, client)) == {verification.id}


def test_what_an_older_worker_settled_is_not_late_forever(
    store: Store, deliveries: Deliveries, client: Redis, master: Redis
) -> None:
    """It does not know the set of late mails, and `/readyz` would be red whenever a mail is owed."""
    store.accepted()
    master.zadd(keyspace.LATE, {"settled by an older worker": store.clock() - 1000})
    assert read_facts(client, Queue()).oldest_owed_s < 10
    assert deliveries.extend(client, list(_claims(deliveries, client).values())) == [LeaseState.HELD]
    assert master.zcard(keyspace.LATE) == 0
