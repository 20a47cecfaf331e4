"""Each state that keeps mail from going out is made really, and /readyz names it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sentinel import LocalTopology, PortReservation, wait_for
from tests.support.apps import container_of
from tests.support.clock import RedisTime
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.workers import RunningWorker
from verifier.domain.verifications import DeliveryStatus
from verifier.ops.serving import note_stopping
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.facts import WorkerReport, send_heartbeat

WITHIN_S = 60


def _looked(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/readyz")
    body = dict(answer.json)
    assert answer.status_code == (503 if body["reasons"] else 200)
    return body


def _codes(app: Flask) -> set[str]:
    return {reason["code"] for reason in _looked(app)["reasons"]}


def _says(app: Flask, words: str) -> bool:
    return any(words in reason["reason"] for reason in _looked(app)["reasons"])


@pytest.fixture
def alive(store: Store, master: Redis) -> None:
    """A worker was heard of a moment ago, and has no trouble."""
    send_heartbeat(store._link.redis, WorkerReport("somebody"))


@pytest.fixture
def without_relay(mailing: Settings) -> Iterator[Settings]:
    """The settings of a relay that refuses connections."""
    ports = PortReservation()
    relay = replace(mailing.mail.relays[0], port=ports.reserve().port)
    yield replace(mailing, mail=replace(mailing.mail, relays=(relay,)))
    ports.release()


def test_with_a_worker_and_nothing_owed_it_is_green(app: Flask, alive: None) -> None:
    """And says what it looked at."""
    body = _looked(app)
    assert body["status"] == "ok"
    assert (body["owed"], body["oldest_owed_s"], body["workers"]) == (0, 0.0, 1)


def test_without_a_worker_it_is_red(app: Flask, master: Redis) -> None:
    """Though Redis answers."""
    assert _codes(app) == {"no_worker"}


def test_a_worker_is_heard_of_and_takes_leave(app: Flask, mailing: Settings) -> None:
    """Within seconds, both."""
    with RunningWorker(mailing) as running:
        running.wait(lambda: not _codes(app), WITHIN_S)
    assert wait_for(lambda: _codes(app) == {"no_worker"}, WITHIN_S)


def test_a_dead_relay_is_named(app: Flask, store: Store, without_relay: Settings) -> None:
    """With mails that wait for it, long before they are old."""
    store.accepted()
    with RunningWorker(without_relay) as running:
        running.wait(lambda: _says(app, f"127.0.0.1:{without_relay.mail.relays[0].port}"), WITHIN_S)


def test_a_relay_that_answers_again_has_waiting_mails_sent_soon(
    app: Flask, store: Store, mailing: Settings, without_relay: Settings
) -> None:
    """Much earlier than their own next try."""
    verification = store.accepted()
    port = without_relay.mail.relays[0].port
    with RunningWorker(without_relay) as running:
        running.wait(lambda: store.get(verification.id).delivery.status is DeliveryStatus.DEFERRED, WITHIN_S)
        store._link.redis.hset(keyspace.record_key(verification.id), "next_try_at", "9999999999")
        store._link.redis.zadd(keyspace.DUE, {verification.id: 9999999999})
        with MailSink(port) as sink:
            running.wait(lambda: bool(sink.mails), WITHIN_S)


@pytest.mark.usefixtures("alive")
def test_a_mail_that_was_accepted_long_ago_is_named(app: Flask, store: Store, clock: RedisTime) -> None:
    """Whether it waits in the queue, behind a foreign job even, or was deferred again and again."""
    first, second = store.accepted(), store.accepted()
    assert _codes(app) == set()
    clock.move(200)
    assert _codes(app) == {"oldest_owed", "no_success"}
    store._link.redis.lrem(keyspace.QUEUE, 0, f"{first.id}-1")
    store._link.redis.lrem(keyspace.QUEUE, 0, f"{second.id}-1")
    assert _codes(app) == set()
    store._link.redis.zadd(keyspace.LATE, {second.id: store.clock() - 130})
    assert _codes(app) == {"oldest_owed", "no_success"}


@pytest.mark.usefixtures("alive")
def test_a_full_redis_is_named_and_codes_are_still_checked(
    app: Flask, store: Store, master: Redis, topology: LocalTopology
) -> None:
    """New submissions get 503 meanwhile, before Redis itself refuses anything."""
    verification = store.accepted()
    service = container_of(app).service
    before: Any = master.config_get("maxmemory")["maxmemory"]
    memory: Any = master.info("memory")
    try:
        master.config_set("maxmemory", int(memory["used_memory"] * 1.02))
        master.delete(keyspace.ROOM)
        assert wait_for(lambda: _codes(app) == {"redis_full"}, WITHIN_S)
        answer = app.test_client().post("/v1/verifications", json={"to": "ann@example.org"})
        assert (answer.status_code, answer.json["code"]) == (503, "queue_full")
        # And at the very limit, too, where Redis refuses every write that may need memory.
        master.config_set("maxmemory", 1_000_000)
        assert service.check(verification.id, "000000").verification.check_attempts == 1
        assert service.cancel(verification.id).decided.value == "canceled"
    finally:
        master.config_set("maxmemory", before)


@pytest.mark.usefixtures("alive")
def test_held_writes_are_named_and_let_nobody_be_taken_out_of_service(
    app: Flask, topology: LocalTopology, master: Redis
) -> None:
    """The master answers, and no write gets through: within one look."""
    try:
        # Sentinel's own messages are held, too: it would take the master for down.
        for sentinel in topology.sentinel_nodes:
            sentinel.pause()
        master.client_pause(60_000, all=False)
        body = _looked(app)
        assert [reason["code"] for reason in body["reasons"]] == ["writes_held"]
        assert body["takes_writes"] is False
        assert app.test_client().get("/servez").status_code == 200
    finally:
        master.client_unpause()
        topology.heal()


@pytest.mark.usefixtures("alive")
def test_a_lost_quorum_is_a_warning(app: Flask, topology: LocalTopology, master: Redis) -> None:
    """Mail goes out; but no failover would come."""
    two = topology.sentinel_nodes[:2]
    try:
        for sentinel in two:
            sentinel.kill()
        assert wait_for(lambda: _looked(app)["status"] == "warning", WITHIN_S, interval_s=0.2)
        [said] = _looked(app)["warnings"]
        assert said["code"] == "quorum_lost"
        assert all(str(sentinel.endpoint) in said["reason"] for sentinel in two)
    finally:
        topology.heal()
    assert wait_for(lambda: _looked(app)["status"] == "ok", WITHIN_S, interval_s=0.2)


def test_a_process_that_stops_wants_no_more_requests(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a load balancer; that it is alive stays true."""
    stopping = threading.Event()
    monkeypatch.setattr("verifier.ops.serving._stopping", stopping)
    client = app.test_client()
    assert client.get("/servez").status_code == 200
    note_stopping()
    assert (client.get("/servez").status_code, client.get("/healthz").status_code) == (503, 200)


def test_without_a_master_it_is_red(app: Flask, topology: LocalTopology, master: Redis) -> None:
    """In the link's words."""
    try:
        for node in topology.nodes:
            node.kill()
        assert wait_for(lambda: _codes(app) == {"no_master"}, WITHIN_S)
    finally:
        topology.heal()


@pytest.mark.usefixtures("alive")
def test_a_master_without_replicas_is_named(
    app: Flask, topology: LocalTopology, master: Redis, store: Store
) -> None:
    """Nothing can be accepted then, though the master answers and nothing is owed."""
    replicas = topology.replicas()
    try:
        for replica in replicas:
            replica.pause()

        assert wait_for(lambda: "no_replica" in _codes(app), WITHIN_S, interval_s=0.5)
    finally:
        for replica in replicas:
            replica.resume()
        topology.heal()
