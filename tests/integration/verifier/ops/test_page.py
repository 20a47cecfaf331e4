"""The operators' page: who gets in, what strangers see, and what operators can do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from sentinel import LocalTopology
from tests.support.stores import Store
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.verifications import DeliveryStatus
from verifier.ops.page.board import board_of
from verifier.ops.page.sessions import LIFE_S
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.dead_letters import newest_dead_letters
from verifier.store.deliveries import Claim, Deliveries, Settlement

PASSWORD = "9vX-hb3Kq_Zt7wLr"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
OPS = ["/ops", "/ops/state", "/ops/login", "/ops/logout", f"/ops/dead-letters/{'0' * 32}-1"]
Make = Callable[..., Flask]


@pytest.fixture
def make_app(settings: Settings, container: Container, master: Redis) -> Iterator[Make]:
    """Make an app with the page, or with other settings; nobody looks at anything after the test."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        ours = replace(settings, **{"ops_password": PASSWORD, **changes})
        app = create_app(ours)
        install(app, replace(container, settings=ours))
        made.append(app)
        return app

    yield make
    for app in made:
        if (board := board_of(app)) is not None:
            board.close()


@pytest.fixture
def client(make_app: Make) -> FlaskClient:
    """A browser that is not logged in."""
    return make_app().test_client()


@pytest.fixture
def inside(client: FlaskClient) -> FlaskClient:
    """A browser that is."""
    assert log_in(client).status_code == 303
    return client


def token(client: FlaskClient) -> str:
    """Return the token of a form on the page."""
    found = TOKEN.search(client.get("/ops").text)
    assert found is not None
    return found[1]


def log_in(client: FlaskClient, password: str = PASSWORD, **how: Any) -> TestResponse:
    """Send the form."""
    return client.post("/ops/login", data={"csrf_token": token(client), "password": password}, **how)


def act(client: FlaskClient, path: str) -> str:
    """Press a button, and return the page that says what came of it."""
    answer = client.post(path, data={"csrf_token": token(client)}, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def test_without_a_password_there_is_no_such_page(make_app: Make) -> None:
    """As at any other address that leads nowhere."""
    client = make_app(ops_password="").test_client()
    assert {client.get(path).status_code for path in OPS} == {404}
    assert {client.post(path).status_code for path in OPS} == {404}


def test_a_stranger_sees_the_form_and_nothing_else(client: FlaskClient, topology: LocalTopology) -> None:
    """No address of a node, no figure; a program is told where to log in."""
    page = client.get("/ops").text
    assert 'type="password"' in page
    assert str(topology.current_master().endpoint) not in page
    assert client.get("/ops/state").status_code == 401
    for path in (f"/ops/dead-letters/{'0' * 32}-1", "/ops/logout"):
        assert (client.get(path) if "dead" in path else client.post(path)).status_code in {303, 401}


def test_the_password_opens_the_page(inside: FlaskClient, topology: LocalTopology) -> None:
    """It names the master, and the cookie is for this very host and page only."""
    page = inside.get("/ops")
    assert page.status_code == 200
    assert f"Master {topology.current_master().endpoint}" in page.text
    assert "No worker is alive" in page.text
    state = inside.get("/ops/state").json
    assert state is not None
    assert state["tone"] == "bad"
    assert state["stale"] == []
    assert f"Master {topology.current_master().endpoint}" in state["parts"]["picture"]


def test_cookie_and_headers(client: FlaskClient) -> None:
    """Over https bound to this host; nobody frames the page, nothing keeps it."""
    found = TOKEN.search(client.get("/ops", base_url="https://localhost").text)
    assert found is not None
    form = {"csrf_token": found[1], "password": PASSWORD}
    answer = client.post(
        "/ops/login", data=form, base_url="https://localhost", headers={"Referer": "https://localhost/ops"}
    )
    [cookie] = [each for each in answer.headers.getlist("Set-Cookie") if "verifier_ops" in each]
    assert cookie.startswith("__Host-verifier_ops=")
    for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFE_S}"):
        assert word in cookie
    page = client.get("/ops", base_url="https://localhost")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers.getlist("X-Frame-Options") == ["DENY"]
    assert page.headers["Cache-Control"] == "no-store"
    assert " style=" not in page.text
    assert not re.search(r"<script(?![^>]* src=)", page.text)


def test_wrong_passwords_are_limited_for_a_network(make_app: Make, caplog: pytest.LogCaptureFixture) -> None:
    """In Redis, so for all processes together; another network gets in, and no password is in the log."""
    app = make_app(trusted_proxies=1)
    at = {"X-Forwarded-For": "192.0.2.1"}
    for number in range(10):
        answer = log_in(app.test_client(), f"wrong-{number}-secret", headers=at)
        assert answer.status_code == 422
        assert "This is not the password" in answer.text
    other_process = make_app(trusted_proxies=1)
    refused = log_in(other_process.test_client(), headers={"X-Forwarded-For": "192.0.2.200"})
    assert refused.status_code == 429
    assert "Too many passwords" in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert log_in(app.test_client(), headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 303
    assert "secret" not in caplog.text
    assert PASSWORD not in caplog.text


def test_they_are_limited_where_all_other_limits_are_off(make_app: Make, settings: Settings) -> None:
    """Those are for load tests; nobody needs to guess passwords in one."""
    app = make_app(limits=replace(settings.limits, enabled=False))
    answers = [log_in(app.test_client(), "wrong").status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_form_without_our_token_does_nothing(inside: FlaskClient, store: Store) -> None:
    """Neither the login nor a button."""
    store.accepted()
    assert inside.post("/ops/logout").status_code == 303
    assert inside.get("/ops/state").status_code == 200
    stranger = inside.application.test_client()
    assert stranger.post("/ops/login", data={"password": PASSWORD}).status_code == 400
    assert stranger.get("/ops/state").status_code == 401


def test_a_logout_ends_the_session_in_all_processes(make_app: Make) -> None:
    """Also for who kept a copy of the cookie."""
    app, other_process = make_app(), make_app()
    client = app.test_client()
    log_in(client)
    cookie = client.get_cookie("verifier_ops")
    assert cookie is not None
    thief = other_process.test_client()
    thief.set_cookie("verifier_ops", cookie.value)
    assert thief.get("/ops/state").status_code == 200
    client.post("/ops/logout", data={"csrf_token": token(client)})
    assert client.get_cookie("verifier_ops") is None
    client.set_cookie("verifier_ops", cookie.value)
    assert client.get("/ops/state").status_code == 401
    # That process looks at the service each second.
    assert any(thief.get("/ops/state").status_code == 401 for _ in _for_a_while())


def test_a_process_that_nobody_asked_before_knows_of_a_logout(make_app: Make) -> None:
    """It looks before it believes a cookie: with one request somebody reads a dead letter, or discards it."""
    client = make_app().test_client()
    log_in(client)
    cookie = client.get_cookie("verifier_ops")
    assert cookie is not None
    client.post("/ops/logout", data={"csrf_token": token(client)})
    thief = make_app().test_client()
    thief.set_cookie("verifier_ops", cookie.value)
    assert thief.get("/ops/state").status_code == 401


def test_another_password_or_another_key_ends_all_sessions(make_app: Make) -> None:
    """And a cookie that somebody made up counts for nothing."""
    client = make_app().test_client()
    log_in(client)
    cookie = client.get_cookie("verifier_ops")
    assert cookie is not None
    changed = make_app(ops_password="another-9vX-hb3Kq_Zt7wLr").test_client()
    for value in (cookie.value, cookie.value[:-2] + "AA", "", "x.y.z"):
        changed.set_cookie("verifier_ops", value)
        assert changed.get("/ops/state").status_code == 401


def _for_a_while() -> Iterator[float]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        yield end
        time.sleep(0.1)


def give_up(store: Store, deliveries: Deliveries) -> str:
    """Have a delivery given up; return the name of its dead letter."""
    verification = store.accepted()
    client = store._link.redis
    [claim] = deliveries.claim(client, "lease", 1)
    assert isinstance(claim, Claim)
    reply = "relay: 550 5.1.1 <ann@example.org>: no such user"
    deliveries.settle(client, [Settlement(claim, DeliveryStatus.REJECTED, relay_reply=reply)])
    return keyspace.job_id(verification.id, 1)


def test_dead_letters_are_shown_without_addresses_requeued_and_discarded(
    inside: FlaskClient, store: Store, deliveries: Deliveries
) -> None:
    """A wall is read by everybody who passes; the address is on the letter's own page."""
    first, second = give_up(store, deliveries), give_up(store, deliveries)
    page = next(page for _ in _for_a_while() if second in (page := inside.get("/ops").text))
    assert first in page
    assert "550 5.1.1" in page
    assert "ann@example.org" not in page
    assert "ann@example.org" in inside.get(f"/ops/dead-letters/{first}").text

    assert f"Delivery {first} is due now." in act(inside, f"/ops/dead-letters/{first}/requeue")
    assert store.get(first.partition("-")[0]).delivery.status is DeliveryStatus.DEFERRED
    assert f"{second} was discarded." in act(inside, f"/ops/dead-letters/{second}/discard")
    assert newest_dead_letters(store._link.redis, 5) == (0, [])
    again = act(inside, f"/ops/dead-letters/{'0' * 32}-1/requeue")
    assert "was not requeued: its verification is unknown" in again
    assert "There is no dead letter" in inside.get(f"/ops/dead-letters/{second}", follow_redirects=True).text


@pytest.mark.parametrize("path", ["/ops/dead-letters/x/requeue", f"/ops/dead-letters/{'0' * 32}-1/explode"])
def test_what_makes_no_sense_is_not_there(inside: FlaskClient, path: str) -> None:
    """And asks Redis nothing."""
    assert inside.post(path, data={"csrf_token": token(inside)}).status_code == 404
