"""Each bad state is made really; the webhook is told of it once, and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sentinel import LocalTopology, PortReservation, wait_for
from tests.integration.verifier.alerts.receiver import Receiver
from tests.integration.workers.relay_server import EVERYTHING, FakeRelay, Say
from tests.support.apps import container_of
from tests.support.clock import RedisTime
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.workers import RunningWorker
from verifier.alerts.book import Pace
from verifier.alerts.courier import Courier
from verifier.alerts.monitor import Monitor
from verifier.alerts.wiring import canary_of
from verifier.readiness import Limits
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.facts import WorkerReport, say_goodbye, send_heartbeat
from verifier.wiring import link_of, lookout_of

WITHIN_S = 60
QUICK = Pace(clear_s=0.5, share_of_after=0.1)

Begin = Callable[..., Monitor]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook on loopback."""
    with Receiver() as running:
        yield running


@pytest.fixture
def begin(settings: Settings, receiver: Receiver, master: Redis) -> Iterator[Begin]:
    """Start a process's alerts, with a link of its own, as often as wanted."""
    with ExitStack() as stack:

        def started(used: Settings = settings, pace: Pace = QUICK, url: str = receiver.url) -> Monitor:
            link = link_of(used)
            stack.callback(link.close)
            monitor = Monitor(
                link,
                lookout_of(used, link),
                Limits.of(used),
                Courier(url, used.name, first_pause_s=0.1),
                canary_of(used, link),
                pace=pace,
                look_every_s=0.2,
            )
            monitor.start()
            stack.callback(monitor.stop)
            assert wait_for(lambda: monitor._heard, WITHIN_S)
            return monitor

        yield started


@pytest.fixture
def alive(store: Store) -> None:
    """A worker was heard of, and for long enough."""
    _heard_of(store)


def _heard_of(store: Store) -> None:
    """Have a worker that is heard of for as long as a test lasts."""
    client = store._link.redis
    send_heartbeat(client, WorkerReport("somebody"))
    client.zadd(keyspace.WORKERS, {"somebody": 9999999999})
    client.persist(f"{keyspace.WORKER_PREFIX}somebody")


def _codes(app: Flask) -> set[str]:
    body: Any = app.test_client().get("/readyz").json
    return {each["code"] for each in (*body["reasons"], *body["warnings"])}


def _is_told(receiver: Receiver, name: str, *states: str) -> bool:
    return wait_for(lambda: receiver.told(name) == list(states), WITHIN_S, interval_s=0.1)


@pytest.mark.usefixtures("alive")
def test_no_worker(
    app: Flask, receiver: Receiver, begin: Begin, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Told by one of two processes; the other goes on where that one left off, and repeats nothing."""
    first, second = begin(), begin()
    with caplog.at_level(logging.INFO, "verifier.alerts"):
        say_goodbye(store._link.redis, "somebody")
        assert _is_told(receiver, "NoWorker", "firing")
        assert _codes(app) == {"no_worker"}
        [body] = receiver.bodies
        assert body["service"] == "Example"
        assert body["severity"] == "critical"
        assert body["runbook"] == "docs/runbook.md#noworker"
        assert body["since"].endswith("+00:00")
        assert "No worker is alive" in body["text"]
        teller, other = (first, second) if first._tells else (second, first)
        teller.stop()
        assert wait_for(lambda: other._tells, WITHIN_S)
        _heard_of(store)
        assert _is_told(receiver, "NoWorker", "firing", "resolved")
    assert receiver.sentence("NoWorker", "resolved").startswith("It is over: ")
    lines = [record.getMessage() for record in caplog.records if "NoWorker" in record.getMessage()]
    assert len(lines) == 2, lines
    assert len(receiver.bodies) == 2


@pytest.mark.usefixtures("alive")
def test_a_lost_quorum(app: Flask, receiver: Receiver, begin: Begin, topology: LocalTopology) -> None:
    """A warning: mail goes out still."""
    begin()
    try:
        for sentinel in topology.sentinel_nodes[:2]:
            sentinel.kill()
        assert _is_told(receiver, "QuorumLost", "firing")
        assert _codes(app) == {"quorum_lost"}
    finally:
        topology.heal()
    assert _is_told(receiver, "QuorumLost", "firing", "resolved")


@pytest.mark.usefixtures("alive")
def test_a_full_redis(app: Flask, receiver: Receiver, begin: Begin, master: Redis) -> None:
    """What is known of alerts is kept there although it takes no other writes."""
    begin()
    before: Any = master.config_get("maxmemory")["maxmemory"]
    try:
        master.config_set("maxmemory", 1_000_000)
        assert _is_told(receiver, "RedisFull", "firing")
        assert _codes(app) == {"redis_full"}
        assert "RedisFull" in str(master.get(keyspace.ALERTS))
    finally:
        master.config_set("maxmemory", before)
    assert _is_told(receiver, "RedisFull", "firing", "resolved")


def test_a_relay_that_refuses_our_login(
    app: Flask, receiver: Receiver, begin: Begin, store: Store, settings: Settings
) -> None:
    """The worker's words reach the webhook: its relay's code and text."""
    refusal = "535 5.7.8 Error: authentication failed"
    with FakeRelay({"auth": [Say(refusal)] * 1000}, (*EVERYTHING, "AUTH PLAIN")) as relay:
        way = replace(settings.mail.relays[0], port=relay.port, username="verifier", password="wrong")
        refused = replace(settings, mail=replace(settings.mail, relays=(way,)))
        begin()
        store.accepted()
        with RunningWorker(refused) as worker:
            worker.wait(lambda: receiver.told("RelayRefusesLogin") == ["firing"], WITHIN_S)
            assert "535 5.7.8 Error: authentication failed" in receiver.sentence("RelayRefusesLogin")
            assert "relay_refuses_us" in _codes(app)
    assert _is_told(receiver, "RelayRefusesLogin", "firing", "resolved")


@pytest.mark.usefixtures("alive")
def test_mail_owed_too_long(
    receiver: Receiver, begin: Begin, store: Store, clock: RedisTime, mailing: Settings
) -> None:
    """By Redis's clock; over when it went out."""
    begin()
    store.accepted()
    clock.move(200)
    assert _is_told(receiver, "MailOwedTooLong", "firing")
    assert _is_told(receiver, "NoMailGoesOut", "firing")
    with RunningWorker(mailing):
        assert _is_told(receiver, "MailOwedTooLong", "firing", "resolved")
        assert _is_told(receiver, "NoMailGoesOut", "firing", "resolved")


@pytest.mark.usefixtures("alive")
def test_refused_writes(
    app: Flask, receiver: Receiver, begin: Begin, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can take the lease then: whoever held it last tells, has the next turn, and so repeats nothing."""
    monkeypatch.setattr("verifier.store.alerts.LEASE_S", 2.0)
    monitors = [begin(), begin()]
    before: Any = master.config_get("min-replicas-to-write")["min-replicas-to-write"]
    teller = master.get(keyspace.TELLER)
    try:
        master.config_set("min-replicas-to-write", 5)
        assert _is_told(receiver, "WritesRefused", "firing")
        assert "NOREPLICAS" in receiver.sentence("WritesRefused")
        assert _codes(app) == {"no_replica"}
        assert wait_for(lambda: master.get(keyspace.TELLER) is None, WITHIN_S)  # its lease has run out
    finally:
        master.config_set("min-replicas-to-write", before)
    assert _is_told(receiver, "WritesRefused", "firing", "resolved")
    assert wait_for(lambda: master.get(keyspace.TELLER) == teller, WITHIN_S)
    assert sum(each._tells for each in monitors) == 1
    assert {body["name"] for body in receiver.bodies} == {"WritesRefused"}


@pytest.mark.usefixtures("alive")
def test_a_moved_master(receiver: Receiver, begin: Begin, topology: LocalTopology) -> None:
    """With the shipped times nothing else is told of in a failover."""
    begin(pace=Pace(clear_s=0.5))
    old = topology.current_master()
    topology.failover()
    assert wait_for(lambda: receiver.told("MasterMoved") == ["firing", "resolved"], FAILOVER_WITHIN_S)
    new = topology.current_master()
    assert receiver.sentence("MasterMoved") == f"The master moved from {old.endpoint} to {new.endpoint}."
    assert {body["name"] for body in receiver.bodies} == {"MasterMoved"}


@pytest.mark.long
@pytest.mark.usefixtures("alive")
def test_redis_away(app: Flask, receiver: Receiver, begin: Begin, topology: LocalTopology) -> None:
    """Whoever told last tells; that it is over comes from whoever tells then."""
    begin(), begin()
    try:
        for node in topology.nodes:
            node.kill()
        assert _is_told(receiver, "RedisUnreachable", "firing")
        assert _codes(app) == {"no_master"}
    finally:
        topology.heal()
    assert _is_told(receiver, "RedisUnreachable", "firing", "resolved")


@pytest.mark.usefixtures("alive")
def test_a_rogue_master(app: Flask, receiver: Receiver, begin: Begin, topology: LocalTopology) -> None:
    """Found by a write, since a connection that was open stays open."""
    begin()
    stranger = topology.start_stranger()
    try:
        topology.make_rogue(stranger.endpoint)
        assert _is_told(receiver, "RogueMaster", "firing")
        assert str(stranger.endpoint) in receiver.sentence("RogueMaster")
        assert "rogue_master" in _codes(app)
    finally:
        topology.heal()
    assert _is_told(receiver, "RogueMaster", "firing", "resolved")


def test_a_process_that_does_not_reach_the_webhook_leaves_it_to_another(
    receiver: Receiver, begin: Begin
) -> None:
    """As the web processes of compose.yaml, which have no way out, do to the worker."""
    ports = PortReservation()
    cut_off = begin(url=f"http://127.0.0.1:{ports.reserve().port}/")
    assert wait_for(lambda: cut_off._tells, WITHIN_S)
    other = begin()
    assert _is_told(receiver, "NoWorker", "firing")
    assert other._tells
    ports.release()


def test_a_webhook_that_never_answers_holds_up_nothing(
    receiver: Receiver, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else is to be known is looked at meanwhile, and the answer is not waited for for ever."""
    receiver.replies = [0]
    monitor = begin()
    assert wait_for(lambda: not receiver.replies, WITHIN_S)
    looked: list[object] = []
    look = monitor._lookout.look

    def look_and_note() -> object:
        looked.append(1)
        return look()

    monkeypatch.setattr(monitor._lookout, "look", look_and_note)
    assert wait_for(lambda: len(looked) > 3, WITHIN_S)
    assert _is_told(receiver, "NoWorker", "firing")


def test_a_webhook_that_fails_is_tried_again_and_keeps_nobody(
    receiver: Receiver, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """Its errors are one line, without its URL, which is a secret; what it did not take comes later, once."""
    receiver.replies = [500, 302]
    with caplog.at_level(logging.INFO):
        begin()
        assert _is_told(receiver, "NoWorker", "firing")
    assert receiver.refused == 2
    lines = [
        record.getMessage() for record in caplog.records if "VERIFIER_ALERT_WEBHOOK" in record.getMessage()
    ]
    assert len(lines) == 1
    assert "it answered 500: invalid_payload" in lines[0]
    assert "a-secret-token" not in caplog.text


def test_the_canary(app: Flask, begin: Begin, mailing: Settings, sink: MailSink, master: Redis) -> None:
    """It goes the whole way; while it does not, that is the reason, whatever else is well."""
    with_canary = replace(
        mailing, alerts=replace(mailing.alerts, canary_address="canary@example.org", canary_interval_s=0.5)
    )
    begin(with_canary)
    sink.replies = ["550 5.1.1 no such mailbox"]
    lookout = container_of(app).lookout
    with RunningWorker(mailing) as worker:
        worker.wait(lambda: "550 5.1.1" in getattr(lookout.look().facts, "canary_reply", ""), WITHIN_S)
        worker.wait(lambda: len(sink.sent_to("canary@example.org")) >= 2, WITHIN_S)
        assert wait_for(lambda: bool(master.hget(keyspace.CANARY, "arrived_at")), WITHIN_S)
    facts = lookout.look().facts
    assert facts is not None
    assert (facts.canary_age_s is not None, facts.canary_reply) == (True, "")
    assert master.zcard(keyspace.DEAD) == 0
    assert master.keys("verifier:limit:*") == []
    statuses = [str(master.hget(key, "status")) for key in master.keys(f"{keyspace.RECORD_PREFIX}*")]
    assert any("canceled" in each for each in statuses)
    assert sum("pending" in each for each in statuses) <= 1
