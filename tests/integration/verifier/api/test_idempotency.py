"""`Idempotency-Key` as draft-ietf-httpapi-idempotency-key-header and Stripe have it, as a backend sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from tests.support.api.conforming import ConformingClient
from tests.support.clock import RedisTime
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.api_keys import entry_of, parse_api_keys
from verifier.settings import Settings
from verifier.store import keyspace

START = "/v1/verifications"
SHOP, BANK = (f"verifier_{letter * 43}" for letter in "sb")
UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"
REPLAYED = "Idempotent-Replayed"
BODIES: dict[str, dict[str, str]] = {
    "": {"to": "bob@example.org"},
    "/check": {"code": "000000"},
    "/resend": {},
}


class Backend:
    """The holder of an API key, with a pending verification that may be sent again."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client = client
        self._authorization = f"Bearer {key}"
        self._id = ""

    def begin(self) -> None:
        """Start the verification that checks and resends are about."""
        self._id = json.loads(self.ask("", {"to": "ann@example.org"}).data)["id"]

    def ask(self, action: str, body: dict[str, Any], key: str | None = None) -> TestResponse:
        """Send a start, a check or a resend."""
        headers = {"Authorization": self._authorization, **({} if key is None else {"Idempotency-Key": key})}
        return self._client.post(
            f"{START}/{self._id}{action}" if action else START, json=body, headers=headers
        )


@pytest.fixture
def client(settings: Settings, container: Container, clock: RedisTime, master: Redis) -> FlaskClient:
    """A client of an app with two keys, on an empty Redis."""
    keys = parse_api_keys(f"{entry_of('shop', SHOP)},{entry_of('bank', BANK)}")
    ours = replace(settings, api_open=False, api_keys=keys)
    app = create_app(ours)
    app.test_client_class = ConformingClient
    install(app, replace(container, settings=ours))
    return app.test_client()


@pytest.fixture
def shop(client: FlaskClient, clock: RedisTime) -> Backend:
    """The one who asks."""
    made = Backend(client, SHOP)
    made.begin()
    clock.move(31)
    return made


def _state(master: Redis) -> dict[str, object]:
    return {key: master.hgetall(key) for key in master.keys(keyspace.record_key("*"))}


@pytest.mark.parametrize("action", BODIES)
def test_a_repeat_gets_the_same_answer_and_says_so(shop: Backend, master: Redis, action: str) -> None:
    """Status, headers and body; and nothing is done once more."""
    first = shop.ask(action, BODIES[action], UUID)
    before = _state(master), master.llen(keyspace.QUEUE)
    for _ in range(3):
        again = shop.ask(action, BODIES[action], UUID)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers.get("Location") == first.headers.get("Location")
        assert again.headers[REPLAYED] == "true"
    assert REPLAYED not in first.headers
    assert (_state(master), master.llen(keyspace.QUEUE)) == before


@pytest.mark.parametrize("action", BODIES)
def test_a_key_in_quotes_is_the_same_without(shop: Backend, action: str) -> None:
    """And what is escaped in them is what it stands for."""
    for first, again in ((UUID, f'"{UUID}"'), ('"a b"', ' "a b" '), (r'"a\"b\\c"', r'"a\"b\\c"')):
        answer = shop.ask(action, BODIES[action], first)
        if answer.status_code == 429:
            continue  # one resend is allowed by now, and the keys are told apart by the other actions
        assert shop.ask(action, BODIES[action], again).headers[REPLAYED] == "true"


@pytest.mark.parametrize("action", BODIES)
def test_another_body_is_refused(shop: Backend, master: Redis, action: str) -> None:
    """422, whatever differs: also a member that was not there before, or is not there any more."""
    body = {**BODIES[action], "client_ip": "192.0.2.7"}
    assert shop.ask(action, body, UUID).status_code in {200, 201}
    before = _state(master), master.llen(keyspace.QUEUE)
    others = [{**body, "client_ip": "192.0.2.8"}, BODIES[action]]
    others += [
        {**body, name: value}
        for name, value in (("to", "eve@example.org"), ("code", "111111"))
        if name in body
    ]
    for other in others:
        answer = shop.ask(action, other, UUID)
        assert (answer.status_code, json.loads(answer.data)["code"]) == (422, "idempotency_key_reused")
        assert REPLAYED not in answer.headers
    assert (_state(master), master.llen(keyspace.QUEUE)) == before
    assert shop.ask(action, body, UUID).headers[REPLAYED] == "true"


def test_the_same_code_written_otherwise_is_the_same_body(shop: Backend) -> None:
    """It is judged as the same code."""
    assert shop.ask("/check", {"code": "000 000"}, UUID).status_code == 200
    assert shop.ask("/check", {"code": "000000"}, UUID).headers[REPLAYED] == "true"


def test_a_key_is_its_holders_and_its_requests(shop: Backend, client: FlaskClient) -> None:
    """Somebody else's, and that of another request, is another one."""
    bank = Backend(client, BANK)
    answers = [shop.ask("", BODIES[""], UUID), bank.ask("", BODIES[""], UUID)]
    answers += [shop.ask("/check", BODIES["/check"], UUID), shop.ask("/resend", {}, UUID)]
    assert [each.status_code for each in answers] == [201, 201, 200, 200]
    assert not any(REPLAYED in each.headers for each in answers)
    assert json.loads(answers[0].data)["id"] != json.loads(answers[1].data)["id"]


def test_what_was_refused_is_judged_anew(shop: Backend, clock: RedisTime) -> None:
    """The key stays free."""
    assert shop.ask("", {"to": "nobody"}, UUID).status_code == 422
    assert shop.ask("", {"to": "bob@example.org"}, UUID).status_code == 201
    assert shop.ask("/resend", {}, "one").status_code == 200
    assert shop.ask("/resend", {}, "two").status_code == 429
    clock.move(61)
    assert shop.ask("/resend", {}, "two").status_code == 200


def test_a_start_that_leads_to_a_pending_one_is_a_repeat_the_second_time(
    shop: Backend, master: Redis
) -> None:
    """And compares the body, too."""
    body = {"to": "ann@example.org", "client_ip": "192.0.2.7"}
    first, again = shop.ask("", body, UUID), shop.ask("", body, UUID)
    assert first.data == again.data
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert shop.ask("", {"to": "ann@example.org"}, UUID).status_code == 422
    assert shop.ask("", {**body, "to": "eve@example.org"}, UUID).status_code == 422
    assert master.llen(keyspace.QUEUE) == 2
