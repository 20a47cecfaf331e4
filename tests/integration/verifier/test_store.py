"""Verifications in a real Redis: accepted, checked, resent and ended, each step once however often it is tried."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from sentinel import LocalNode, LocalTopology, Login, MasterLink, NotAcknowledged, TransientError, wait_for
from sentinel.direct_connection import direct_connection
from tests.support.stores import Store, due_in_s, lose_answers, waiting_jobs
from verifier.domain.codes import code_of
from verifier.domain.errors import QueueFull, ServiceUnavailable, VerificationNotFound
from verifier.domain.rules import Rules
from verifier.domain.verifications import DeliveryStatus, Status, Verification
from verifier.service import VerificationService
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store import verifications as store_module
from verifier.store.deliveries import Claim, Settlement
from verifier.store.facts import HEARTBEAT
from verifier.store.scripts import Acknowledgement, Step, run_steps
from verifier.store.verifications import QUEUE_GRACE_S, Resend
from verifier.wiring import access_of, deliveries_of

FAR_AWAY = "f" * 32


def _service(store: Store, rules: Rules) -> VerificationService:
    return VerificationService(store, store.settings.keys, rules)


def test_an_accepted_verification_is_read_as_it_was_written(store: Store) -> None:
    """Times included, to the last digit."""
    verification = store.accepted()
    assert store.get(verification.id) == verification


def test_accepting_owes_one_mail_and_queues_one_job(store: Store, master: Redis) -> None:
    """The due entry gives the queue a few seconds before recovery looks after it."""
    verification = store.accepted()
    assert waiting_jobs(master) == [f"{verification.id}-1"]
    due_s = due_in_s(master, verification)
    assert due_s is not None
    assert QUEUE_GRACE_S - 2 < due_s <= QUEUE_GRACE_S
    assert master.smembers(keyspace.QUEUES) == {keyspace.QUEUE}


def test_a_replica_has_what_was_accepted(store: Store, topology: LocalTopology) -> None:
    """That is what makes it safe to say yes."""
    verification = store.accepted()

    def has_it(node: LocalNode) -> bool:
        with topology.admin(node) as client:
            return bool(client.exists(keyspace.record_key(verification.id)))

    assert any(has_it(node) for node in topology.replicas())


def test_a_record_goes_when_it_has_been_kept_long_enough(store: Store, master: Redis) -> None:
    """Its life and the retention, and the job does not stay longer."""
    verification = store.accepted(life_s=600)
    retention_s = store.settings.retention_s
    for key in (keyspace.record_key(verification.id), f"{keyspace.JOB_PREFIX}{verification.id}-1"):
        assert 598 + retention_s <= master.ttl(key) <= 600 + retention_s


def test_accepting_again_after_a_lost_answer_owes_one_mail(
    store: Store, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try finds that the first one arrived."""
    left = lose_answers(monkeypatch, store_module, 2)
    verification = store.accepted()
    assert left() == 0
    assert waiting_jobs(master) == [f"{verification.id}-1"]
    assert master.zcard(keyspace.DUE) == 1
    assert store.get(verification.id) == verification


def test_a_repeat_is_accepted_although_the_queue_is_full_by_then(
    store: Store, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what filled it."""
    left = lose_answers(monkeypatch, store_module)
    store.limited_to(1).accepted()
    assert left() == 0
    assert master.zcard(keyspace.DUE) == 1


def test_a_full_queue_takes_nothing_on(store: Store, master: Redis) -> None:
    """Neither a new verification nor a resend, and nothing is left of the try."""
    first = store.accepted()
    full = store.limited_to(1)
    with pytest.raises(QueueFull):
        full.accepted()
    with pytest.raises(QueueFull):
        full.asked_again(first)
    assert len(list(master.scan_iter(f"{keyspace.RECORD_PREFIX}*"))) == 1
    assert len(list(master.scan_iter(f"{keyspace.JOB_PREFIX}*"))) == 1
    assert waiting_jobs(master) == [f"{first.id}-1"]
    assert store.get(first.id) == first


def test_an_unknown_verification_is_not_found_and_not_made(store: Store, master: Redis) -> None:
    """By any step."""
    unknown = replace(store.new(), id=FAR_AWAY)
    for step in (
        lambda: store.get(FAR_AWAY),
        lambda: store.attempted(FAR_AWAY, 5),
        lambda: store.end(FAR_AWAY, Status.CANCELED),
    ):
        with pytest.raises(VerificationNotFound):
            step()
    assert store.asked_again(unknown) is Resend.CHANGED
    assert list(master.scan_iter("*")) == []


def test_an_attempt_is_counted(store: Store) -> None:
    """And what it leaves is given back."""
    verification = store.accepted()
    counted, after = store.attempted(verification.id, 5)
    assert counted
    assert after == replace(verification, check_attempts=1)


def test_an_attempt_whose_answer_got_lost_is_counted_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id tells the repeat from a second attempt."""
    verification = store.accepted()
    left = lose_answers(monkeypatch, store_module, 2)
    counted, after = store.attempted(verification.id, 5)
    assert left() == 0
    assert counted
    assert after.check_attempts == 1
    assert store.attempted(verification.id, 5)[1].check_attempts == 2


def test_a_lost_attempt_is_counted_once_although_another_came_between(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it may be judged, even where the other one was the last that is allowed."""
    verification = store.accepted()
    real = store_module.run_steps

    def lose_and_come_between(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(store_module, "run_steps", real)
        real(*arguments, **named)
        store.attempted(verification.id, 2)
        raise TransientError("The answer got lost.")

    monkeypatch.setattr(store_module, "run_steps", lose_and_come_between)
    counted, after = store.attempted(verification.id, 2)
    assert counted
    assert after.check_attempts == 2


def test_no_attempt_is_counted_beyond_the_last(store: Store) -> None:
    """Nor may it be judged."""
    verification = store.accepted()
    results = [store.attempted(verification.id, 2) for _ in range(4)]
    assert [counted for counted, _ in results] == [True, True, False, False]
    assert results[-1][1].check_attempts == 2


def test_no_attempt_is_counted_after_the_end(store: Store) -> None:
    """Expired, canceled or approved."""
    expired, young, canceled = store.accepted(age_s=600.1), store.accepted(age_s=599), store.accepted()
    assert not store.attempted(expired.id, 5)[0]
    assert store.attempted(young.id, 5)[0]
    store.end(canceled.id, Status.CANCELED)
    counted, after = store.attempted(canceled.id, 5)
    assert not counted
    assert after.check_attempts == 0


def test_a_verification_ends_once(store: Store) -> None:
    """The first end counts, and whoever comes later learns how it ended."""
    verification = store.accepted()
    assert store.end(verification.id, Status.APPROVED)[0]
    ended, after = store.end(verification.id, Status.CANCELED)
    assert not ended
    assert after.decided is Status.APPROVED
    assert not store.end(verification.id, Status.APPROVED)[0]


def test_an_approval_whose_answer_got_lost_is_still_an_approval(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat is told that it was its own try that ended it."""
    verification = store.accepted()
    left = lose_answers(monkeypatch, store_module, 2)
    ended, after = store.end(verification.id, Status.APPROVED)
    assert left() == 0
    assert ended
    assert after.decided is Status.APPROVED


def test_the_end_owes_no_mail_that_still_waits(store: Store, master: Redis) -> None:
    """A person who is done is not written to."""
    verification = store.accepted()
    _, after = store.end(verification.id, Status.CANCELED)
    assert after.delivery.status is DeliveryStatus.ABANDONED
    assert due_in_s(master, verification) is None


def test_a_resend_owes_the_next_delivery(store: Store, master: Redis) -> None:
    """With a count of sends, a job of its own, and nothing of what became of the one before."""
    verification = store.accepted()
    now = time.time()
    assert store.asked_again(verification) is Resend.ACCEPTED
    after = store.get(verification.id)
    assert (after.sends, after.delivery.number) == (2, 2)
    assert after.last_sent_at == pytest.approx(now, abs=60)
    assert after.delivery.status is DeliveryStatus.QUEUED
    assert after.check_attempts == 0
    assert waiting_jobs(master) == [f"{verification.id}-1", f"{verification.id}-2"]


def test_a_resend_keeps_the_attempts(store: Store) -> None:
    """They are counted for the life of the verification."""
    verification = store.accepted()
    _, verification = store.attempted(verification.id, 5)
    assert store.resent(verification).check_attempts == 1


def test_a_resend_whose_answer_got_lost_owes_one_mail(
    store: Store, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat knows its own first try by the time it was made for."""
    verification = store.accepted()
    left = lose_answers(monkeypatch, store_module, 2)
    assert store.asked_again(verification) is Resend.ACCEPTED
    assert left() == 0
    assert store.get(verification.id).sends == 2
    assert len(waiting_jobs(master)) == 2


def test_two_resends_of_the_same_state_owe_one_mail(store: Store, master: Redis) -> None:
    """The second one finds that something has changed and applies the rules anew."""
    verification = store.accepted()
    assert store.asked_again(verification) is Resend.ACCEPTED
    assert store.asked_again(verification) is Resend.CHANGED
    assert store.get(verification.id).sends == 2
    assert len(waiting_jobs(master)) == 2


def test_an_ended_verification_is_not_resent(store: Store, master: Redis) -> None:
    """Whatever the caller believed."""
    verification = store.accepted()
    store.end(verification.id, Status.APPROVED)
    assert store.asked_again(verification) is Resend.CHANGED
    assert master.zcard(keyspace.DUE) == 0


def test_scripts_are_loaded_where_a_master_does_not_know_them(store: Store, master: Redis) -> None:
    """As after a failover or a restart."""
    master.script_flush()
    verification = store.accepted()
    master.script_flush()
    assert store.attempted(verification.id, 5)[0]


@pytest.fixture
def hung_replicas(topology: LocalTopology, master: Redis) -> Iterator[tuple[LocalNode, ...]]:
    """Both replicas hang until the end of the test."""
    replicas = topology.replicas()
    for replica in replicas:
        replica.pause()
    yield replicas
    for replica in replicas:
        replica.resume()
    topology.heal()


@pytest.mark.chaos
def test_nothing_is_accepted_that_no_replica_has(
    settings: Settings, master: Redis, hung_replicas: tuple[LocalNode, ...]
) -> None:
    """Within the deadline the person hears that nobody knows yet, and when to come back."""
    link = MasterLink(access_of(settings.redis), deadline_s=1.5)
    service = _service(Store(link, settings), settings.rules)
    try:
        started_at = time.monotonic()
        with pytest.raises(ServiceUnavailable) as refusal:
            service.start("ann@example.org")
        assert 1.4 < time.monotonic() - started_at < 20
        assert refusal.value.retry_after_s is not None
        assert isinstance(refusal.value.__cause__, TransientError)
    finally:
        link.close()


@pytest.mark.chaos
def test_a_submission_is_accepted_as_soon_as_a_replica_has_it(
    store: Store, master: Redis, hung_replicas: tuple[LocalNode, ...]
) -> None:
    """The request waits meanwhile, and its tries together owe one mail."""
    verification = store.new()
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(store.accept, verification.id, verification.address, verification.key_id, 600)
        assert wait_for(lambda: bool(waiting_jobs(master)), 30)
        assert not accepting.done()
        hung_replicas[0].resume()
        accepting.result(timeout=60)
    assert waiting_jobs(master) == [f"{verification.id}-1"]


@pytest.mark.chaos
@pytest.mark.parametrize("asked", ["resend", "cancel"])
def test_a_repeat_is_told_yes_no_sooner_than_the_first(
    store: Store, topology: LocalTopology, asked: str
) -> None:
    """Whoever was told 503 and asks once more finds their first try on the master, which is not enough."""
    rules = Rules(resend_after_s=0)
    service = VerificationService(store, store.settings.keys, rules, deadline_s=1.0)
    started = service.start("ann@example.org")
    ask: Callable[[], Verification] = {
        "resend": lambda: service.resend(started.id, request_key="again"),
        "cancel": lambda: service.cancel(started.id),
    }[asked]
    replicas = topology.replicas()
    try:
        for replica in replicas:
            replica.pause()
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                ask()
    finally:
        for replica in replicas:
            replica.resume()
        topology.heal()
    assert wait_for(lambda: _is_told(ask), 60)
    assert ask().sends == (2 if asked == "resend" else 1)


def _is_told(ask: Callable[[], Verification]) -> bool:
    try:
        ask()
    except ServiceUnavailable:
        return False
    return True


@pytest.mark.chaos
def test_an_unacknowledged_write_is_told_as_such(
    store: Store, link: MasterLink, hung_replicas: tuple[LocalNode, ...]
) -> None:
    """The type says that it may be tried again, and the message how many replicas are missing."""
    # A step that writes: newer servers wait for nothing else.
    step = Step(HEARTBEAT, [keyspace.WORKERS], ["test", "{}", keyspace.WORKER_PREFIX, 1])
    with pytest.raises(NotAcknowledged, match="0 of 2 replicas acknowledged the write within 20 ms"):
        run_steps(link.redis, [step], Acknowledgement(2, 20))


@pytest.mark.chaos
@pytest.mark.parametrize("outcome", [DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.REJECTED])
def test_a_repeated_settlement_covers_the_first_on_any_connection(
    store: Store, link: MasterLink, settings: Settings, topology: LocalTopology, outcome: DeliveryStatus
) -> None:
    """A settlement whose answer got lost counts only when replicas have it, though its repeat finds nothing to do."""
    store.accepted()
    deliveries = deliveries_of(replace(settings, redis=replace(settings.redis, acknowledge_timeout_ms=100)))
    (claim,) = (each for each in deliveries.claim(link.redis, "lease", 1) if isinstance(each, Claim))
    replicas = topology.replicas()
    other = MasterLink(link.access)
    other.redis.ping()
    try:
        for replica in replicas:
            replica.pause()
        for client in (link.redis, other.redis):
            with pytest.raises(NotAcknowledged):
                deliveries.settle(client, [Settlement(claim, outcome, 30)])
    finally:
        for replica in replicas:
            replica.resume()
        other.close()
        topology.heal()


def _has_on_disk(node: LocalNode, text: str) -> bool:
    files = [file for file in node.directory.rglob("*appendonly*") if file.is_file()]
    return any(text.encode() in file.read_bytes() for file in files)


@pytest.mark.chaos
def test_what_was_accepted_survives_the_restart_of_all_nodes(
    store: Store, topology: LocalTopology, master: Redis
) -> None:
    """Once it is on their disks; a script's writes no less than plain ones."""
    verification = store.resent(store.accepted())
    assert wait_for(lambda: all(_has_on_disk(node, verification.id) for node in topology.nodes), 60)
    for node in topology.nodes:
        node.kill()
    topology.heal()
    assert store.get(verification.id) == verification
    with topology.admin(topology.current_master()) as client:
        assert waiting_jobs(client) == [f"{verification.id}-1", f"{verification.id}-2"]


def test_nobody_comes_in_as_the_default_user(topology: LocalTopology, master: Redis) -> None:
    """It has rights for the reading of the append-only file only, and can't be logged in as."""
    endpoint = topology.current_master().endpoint
    for username, password in [
        (None, None),
        (None, "x"),
        ("default", None),
        ("default", ""),
        ("default", "x"),
    ]:
        login = Login(username or "", password or "")
        connection = direct_connection(endpoint, login, None, timeout_s=1)
        try:
            with pytest.raises(
                (AuthenticationError, ResponseError), match=r"NOAUTH|WRONGPASS|required|invalid"
            ):
                _say(connection, "SET", "verifier:anything", "x")
        finally:
            connection.disconnect()
    assert master.dbsize() == 0


def _say(connection: redis.Connection, *command: str) -> object:
    connection.send_command(*command)
    return connection.read_response()


def _at_once(how_many: int, work: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(how_many)

    def together(_: int) -> Any:
        barrier.wait(60)
        return work()

    with ThreadPoolExecutor(how_many) as pool:
        return list(pool.map(together, range(how_many)))


def _is_valid(service: VerificationService, verification_id: str, code: str) -> bool:
    return service.check(verification_id, code).valid


def test_of_concurrent_right_codes_exactly_one_is_valid(store: Store) -> None:
    """A code works once."""
    service = _service(store, Rules())
    for _ in range(5):
        verification = service.start("ann@example.org")
        code = code_of(
            verification.id, verification.address, verification.key_id, store.settings.keys, service.rules
        )
        assert code is not None
        results = _at_once(4, functools.partial(_is_valid, service, verification.id, code))
        assert results.count(True) == 1
        assert service.status(service.get(verification.id)) is Status.APPROVED


def test_of_concurrent_wrong_codes_five_are_judged(store: Store) -> None:
    """However many come at the same moment, and afterwards not even the right one helps."""
    service = _service(store, Rules())
    verification = service.start("ann@example.org")
    code = code_of(
        verification.id, verification.address, verification.key_id, store.settings.keys, service.rules
    )
    assert code is not None
    wrong = "000000" if code != "000000" else "000001"
    results = _at_once(20, lambda: service.check(verification.id, wrong))
    assert not any(result.valid for result in results)
    after = service.get(verification.id)
    assert after.check_attempts == 5
    assert service.status(after) is Status.MAX_ATTEMPTS_REACHED
    assert not service.check(verification.id, code).valid


def test_a_right_code_is_valid_although_every_answer_got_lost_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt is counted once, and the approval is not lost."""
    service = _service(store, Rules())
    verification = service.start("ann@example.org")
    code = code_of(
        verification.id, verification.address, verification.key_id, store.settings.keys, service.rules
    )
    real = store_module.run_steps
    seen: set[str] = set()

    def lose_first_answers(client: Redis, steps: list[Step], *arguments: object, **named: object) -> object:
        result = real(client, steps, *arguments, **named)  # type: ignore[arg-type]
        if steps[0].script.name not in seen:
            seen.add(steps[0].script.name)
            raise TransientError("The answer got lost.")
        return result

    monkeypatch.setattr(store_module, "run_steps", lose_first_answers)
    result = service.check(verification.id, str(code))
    assert seen == {"attempt", "end"}
    assert result.valid
    assert result.verification.check_attempts == 1
