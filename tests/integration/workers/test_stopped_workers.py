"""Workers that stand still, are told to end, or start after an outage: what they hold is neither lost nor sent twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from sentinel import LocalTopology, MasterLink, TransientError, wait_for
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.workers import RunningWorker
from verifier.domain.keys import KeyRing
from verifier.domain.verifications import DeliveryStatus, Status, Verification
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.deliveries import LEASE_S
from workers import worker as worker_module

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 60
SENT, ABANDONED = DeliveryStatus.SENT, DeliveryStatus.ABANDONED


@pytest.fixture
def store(mailing: Settings, link: MasterLink) -> Store:
    """The store, on settings with a relay behind them."""
    return Store(link, mailing)


def _status(store: Store, verification: Verification) -> DeliveryStatus:
    return store.get(verification.id).delivery.status


@contextmanager
def _process(topology: LocalTopology, settings: Settings, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    [secret] = settings.keys.secrets.items()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")},
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": f"{secret[0]}:{secret[1].decode()}",
        "VERIFIER_MAIL_SERVER": "127.0.0.1",
        "VERIFIER_MAIL_PORT": str(settings.mail.relays[0].port),
        "VERIFIER_MAIL_CONNECTIONS": "2",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _mailable(settings: Settings) -> Settings:
    """The test's key as an environment can hold it."""
    return replace(settings, keys=KeyRing("k", {"k": b"a-secret-of-the-tests-long-enough-to-be-one"}))


@pytest.mark.chaos
def test_a_worker_that_stood_still_sends_nothing_that_others_have_sent(
    topology: LocalTopology, mailing: Settings, link: MasterLink, sink: MailSink, master: Redis
) -> None:
    """It was stopped for longer than a lease (SIGSTOP) with mails in hand; another worker took them over meanwhile."""
    settings = _mailable(mailing)
    store = Store(link, settings)
    sink.delay_s = 1.0
    with _process(topology, settings) as stopped:
        verifications = [store.accepted() for _ in range(9)]
        assert wait_for(
            lambda: all(_status(store, each) in {DeliveryStatus.SENDING, SENT} for each in verifications),
            DEADLINE_S,
        )
        stopped.send_signal(signal.SIGSTOP)
        begun = len(sink.mails)
        sink.delay_s = 0.0
        with RunningWorker(settings) as running:
            running.wait(lambda: all(_status(store, each) is SENT for each in verifications), DEADLINE_S)
            sent = len(sink.mails)
            stopped.send_signal(signal.SIGCONT)
            # Only the two that it was in the middle of may be there twice.
            assert sink.stays_at(sent, 3.0) or len(sink.mails) <= sent + 2
    assert begun < 9
    assert len({mail["Message-ID"] for mail in sink.mails}) <= len(sink.mails) <= 9 + 2


def test_what_was_canceled_meanwhile_is_not_sent(mailing: Settings, store: Store, sink: MailSink) -> None:
    """Though it had been claimed: renewing the lease says that nobody wants it any more."""
    sink.delay_s = 1.5
    slow = replace(mailing, mail=replace(mailing.mail, connections=1))
    with RunningWorker(slow) as running:
        verifications = [store.accepted() for _ in range(4)]
        running.wait(lambda: _status(store, verifications[-1]) is DeliveryStatus.SENDING, DEADLINE_S)
        store.end(verifications[-1].id, Status.CANCELED)
        running.wait(lambda: _status(store, verifications[-2]) is SENT, DEADLINE_S)
        running.wait(lambda: _status(store, verifications[-1]) is ABANDONED, DEADLINE_S)
    assert len(sink.mails) == 3


def test_a_worker_that_just_started_reclaims_no_lease_at_once(
    mailing: Settings, store: Store, sink: MailSink, master: Redis
) -> None:
    """Its owner may live, and may not have been able to renew it during an outage that this worker knows nothing of."""
    verification = store.accepted()
    with RunningWorker(mailing) as first:
        first.wait(lambda: bool(sink.mails), DEADLINE_S)
        first.wait(lambda: _status(store, verification) is SENT, DEADLINE_S)
    key = keyspace.record_key(verification.id)
    master.hset(key, mapping={"delivery_status": "sending", "lease": "of-somebody-else"})
    master.zadd(keyspace.DUE, {verification.id: 1})
    with RunningWorker(mailing) as second:
        second.wait(lambda: float(master.zscore(keyspace.DUE, verification.id) or 0) > 1, DEADLINE_S)
        assert not second.worker._maintenance._recovery.may_reclaim()
        assert len(sink.mails) == 1
        second.wait(lambda: len(sink.mails) == 2, LEASE_S + DEADLINE_S)


def test_a_side_thread_that_always_fails_switches_no_recovery_off(
    mailing: Settings, store: Store, sink: MailSink, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose user has no channels can't listen to RQ's commands; the mails of a dead worker go out all the same."""

    def refuse(*_: object) -> None:
        raise TransientError("no permissions to access one of the channels")

    monkeypatch.setattr("workers.command_listener.CommandListener._subscribe", refuse)
    verification = store.accepted()
    master.delete(keyspace.QUEUE)
    key = keyspace.record_key(verification.id)
    master.hset(key, mapping={"delivery_status": "sending", "lease": "of-a-dead-worker", "tries": 1})
    master.zadd(keyspace.DUE, {verification.id: 1})
    with RunningWorker(mailing) as running:
        running.wait(lambda: len(sink.mails) == 1, LEASE_S + DEADLINE_S)
        running.wait(lambda: _status(store, verification) is SENT, DEADLINE_S)


def test_burst_ends_while_work_is_suspended(mailing: Settings, store: Store, master: Redis) -> None:
    """It would never get anything to do."""
    store.accepted()
    with RunningWorker(mailing, burst=True) as running:
        running.container.suspended.set()
        assert running.ended(DEADLINE_S)


def test_foreign_jobs_stay_in_the_queue(
    mailing: Settings, store: Store, sink: MailSink, master: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours go out past them, and what somebody wrote there does not reach the log as it is."""
    foreign = "somebody's job\n2026-01-01T00:00:00Z ERROR forged"
    master.rpush(keyspace.QUEUE, foreign)
    verification = store.accepted()
    with RunningWorker(mailing) as running:
        running.wait(lambda: _status(store, verification) is SENT, DEADLINE_S)
    assert master.lrange(keyspace.QUEUE, 0, -1) == [foreign]
    assert "\n2026-01-01" not in caplog.text


def test_signals_within_a_second_are_one_order(mailing: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd sends one to every process, and a parent passes its own on; a later one is meant."""
    made = RunningWorker(mailing)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    made.worker.request_stop(signal.SIGTERM, None)
    made.worker.request_stop(signal.SIGTERM, None)
    assert ended == []
    made.worker._asked_to_stop_at -= worker_module.ONE_ORDER_S + 0.1
    made.worker.request_stop(signal.SIGTERM, None)
    assert ended == [128 + signal.SIGTERM]


@pytest.mark.chaos
def test_a_signal_to_everybody_ends_all_of_them_softly(topology: LocalTopology, mailing: Settings) -> None:
    """As systemd's default KillMode does it."""
    with _process(topology, _mailable(mailing), "--processes", "2", "--name", "pair") as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        assert wait_for(lambda: len(children.read_text().split()) == 2, DEADLINE_S)
        with topology.admin(topology.current_master()) as admin:
            assert wait_for(
                lambda: {b"pair-1", "pair-1"} & set(admin.zrange(keyspace.WORKERS, 0, -1)), DEADLINE_S
            )
            assert wait_for(
                lambda: {b"pair-2", "pair-2"} & set(admin.zrange(keyspace.WORKERS, 0, -1)), DEADLINE_S
            )
        for pid in [*map(int, children.read_text().split()), parent.pid]:
            os.kill(pid, signal.SIGTERM)
        assert parent.wait(60) == 0


@pytest.mark.chaos
def test_a_childs_hard_end_is_the_parents_exit_code(
    topology: LocalTopology, mailing: Settings, master: Redis
) -> None:
    """So that a service manager hears of it."""

    def pids() -> list[int]:
        """Read where each of the two works, as it says itself: a child of the parent's may be none of them."""
        keys = [key for key in master.smembers("rq:workers") if ":pair-" in str(key)]
        return [int(pid) for pid in (master.hget(str(key), "pid") for key in keys) if pid]

    with _process(topology, _mailable(mailing), "--processes", "2", "--name", "pair") as parent:
        assert wait_for(lambda: len(pids()) == 2, DEADLINE_S)
        victim = pids()[0]
        os.kill(victim, signal.SIGSTOP)
        parent.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # the other one, which is not stopped, begins to end
        os.kill(victim, signal.SIGKILL)
        assert parent.wait(60) == 128 + signal.SIGKILL


@pytest.mark.chaos
def test_a_stop_in_the_middle_of_a_failover_settles_before_it_ends(
    topology: LocalTopology, mailing: Settings, link: MasterLink, sink: MailSink, master: Redis
) -> None:
    """What was sent is written down on the new master, so nothing goes out again."""
    settings = _mailable(mailing)
    store = Store(link, settings)
    sink.delay_s = 1.0
    try:
        with _process(topology, settings) as process:
            verifications = [store.accepted() for _ in range(2)]
            assert wait_for(
                lambda: all(_status(store, each) is DeliveryStatus.SENDING for each in verifications),
                DEADLINE_S,
            )
            topology.current_master().kill()
            process.terminate()
            assert process.wait(60) == 0
        assert [_status(store, each) for each in verifications] == [SENT, SENT]
        assert len(sink.mails) == 2
    finally:
        topology.heal()


def test_rq_lengthens_no_timeout(mailing: Settings) -> None:
    """It raises that of the pool it is given to 55 s; then settling would stand still behind a connection dropped silently."""
    made = RunningWorker(mailing)
    link = made.container.link
    for client in (link.redis, made.worker.connection):
        assert client.connection_pool.connection_kwargs["socket_timeout"] == link.access.node_timeout_s
    assert made.worker._blocking.connection_pool.connection_kwargs["socket_timeout"] < 10
    link.close()
