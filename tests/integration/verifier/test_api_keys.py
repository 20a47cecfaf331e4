"""Keys of the API on a real Redis: who comes in, and who sees what."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from tests.support.api.conforming import ConformingClient
from tests.support.clock import RedisTime
from verifier import create_app
from verifier.cli.api_keys import api_keys_group
from verifier.container import Container, install
from verifier.domain.api_keys import entry_of, parse_api_keys
from verifier.domain.codes import code_of
from verifier.settings import Settings
from verifier.store import keyspace

START = "/v1/verifications"
# The same in every process of the tests.
SHOP, SHOPS_NEXT, BANK, UNKNOWN = (f"verifier_{letter * 43}" for letter in "snbu")
KEYS = ",".join([entry_of("shop", SHOP), entry_of("shop", SHOPS_NEXT), entry_of("bank", BANK)])
Client = Callable[..., FlaskClient]


@pytest.fixture
def client(settings: Settings, container: Container, clock: RedisTime, master: Redis) -> Client:
    """Make a client of an app with keys, or with other settings."""

    def make(**changes: Any) -> FlaskClient:
        ours = replace(
            settings,
            **{"api_open": False, "hosts": ("localhost",), "api_keys": parse_api_keys(KEYS), **changes},
        )
        app = create_app(ours)
        app.test_client_class = ConformingClient
        install(app, replace(container, settings=ours))
        return app.test_client()

    return make


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _start(api: FlaskClient, key: str, **more: str) -> dict[str, Any]:
    answer = api.post(START, json={"to": "ann@example.org", **more}, headers=_bearer(key))
    assert answer.status_code == 201
    return dict(answer.json or {})


def _requests(verification_id: str) -> list[tuple[str, str, dict[str, str] | None]]:
    url = f"{START}/{verification_id}"
    return [
        ("GET", url, None),
        ("POST", f"{url}/check", {"code": "123456"}),
        ("POST", f"{url}/resend", None),
        ("POST", f"{url}/cancel", None),
    ]


def _is_refused(answer: TestResponse, sentence: str) -> None:
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="Verifier"')
    assert answer.headers["Cache-Control"] == "no-store"
    problem = json.loads(answer.data)
    assert problem["code"] == "unauthorized"
    assert sentence in problem["detail"]


@pytest.mark.parametrize("key", [SHOP, SHOPS_NEXT])
def test_a_key_opens_the_api(client: Client, settings: Settings, key: str) -> None:
    """From the start to the right code; the scheme's name in any case."""
    api = client()
    body = _start(api, key)
    code = code_of(body["id"], body["to"], "test", settings.keys, settings.rules)
    headers = {"Authorization": f"bearer {key}"}
    answer = api.post(f"{START}/{body['id']}/check", json={"code": code}, headers=headers)
    assert answer.json is not None
    assert answer.json["valid"] is True


def _records(master: Redis) -> dict[str, object]:
    """Return every verification there is; limits have keys of their own, which end by themselves."""
    return {key: master.hgetall(key) for key in master.keys(keyspace.record_key("*"))}


@pytest.mark.parametrize(
    ("authorization", "sentence"),
    [
        (None, "This API needs a key"),
        ("", "This API needs a key"),
        ("Bearer", "must have the form `Bearer KEY`"),
        (f"Basic {SHOP}", "must have the form `Bearer KEY`"),
        ("Basic YTpi", "must have the form `Bearer KEY`"),
        (SHOP, "must have the form `Bearer KEY`"),
        (f"Bearer {SHOP[:-1]}", "is no API key"),
        (f"Bearer {SHOP} {SHOP}", "is no API key"),
        (f"Bearer shop:{SHOP}", "is no API key"),
        ("Bearer sunshine", "is no API key"),
        ("Bearer \xff\xfe", "is no API key"),
        (f"Bearer {UNKNOWN}", "not known here, or not any more"),
    ],
)
def test_nobody_else_comes_in(
    client: Client, master: Redis, authorization: str | None, sentence: str
) -> None:
    """401 with the sentence for it, at every request; nothing is done, and there is no difference for ids that exist."""
    api = client()
    ids = ["0" * 32, _start(api, SHOP)["id"]]
    before = _records(master)
    headers = {} if authorization is None else {"Authorization": authorization}
    requests = [("POST", START, {"to": "a@example.org"}), *_requests(ids[0]), *_requests(ids[1])]
    for method, url, body in requests:
        answer = api.open(url, method=method, json=body, headers=headers)
        _is_refused(answer, sentence)
        assert ("invalid_token" in answer.headers["WWW-Authenticate"]) is bool(authorization)
    assert _records(master) == before


def test_a_revoked_key_opens_nothing_and_its_successor_goes_on(client: Client) -> None:
    """What was started under the name is the name's."""
    body = _start(client(), SHOP)
    later = client(api_keys=parse_api_keys(entry_of("shop", SHOPS_NEXT)))
    url = f"{START}/{body['id']}"
    _is_refused(later.get(url, headers=_bearer(SHOP)), "not known here")
    assert later.get(url, headers=_bearer(SHOPS_NEXT)).json == body


def test_another_key_sees_nothing(client: Client, master: Redis) -> None:
    """404 for reading, checking, sending again and canceling, and no attempt is counted."""
    api = client()
    body = _start(api, SHOP)
    before = master.hgetall(keyspace.record_key(body["id"]))
    for method, url, sent in _requests(body["id"]):
        answer = api.open(url, method=method, json=sent, headers=_bearer(BANK))
        assert answer.status_code == 404
        assert json.loads(answer.data)["code"] == "verification_not_found"
    assert api.get(f"/verify/{body['id']}").status_code == 404
    assert api.get(f"/verify/{body['id']}/delivery.json").status_code == 404
    assert master.hgetall(keyspace.record_key(body["id"])) == before


def test_a_key_sees_nothing_of_the_pages(client: Client, master: Redis) -> None:
    """Nor does an open API."""
    pages = client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', pages.get("/").text)
    assert token is not None
    started = pages.post("/verify", data={"csrf_token": token[1], "email": "ann@example.org"})
    verification_id = started.location.rpartition("/")[2]
    before = master.hgetall(keyspace.record_key(verification_id))
    for api in (client(), client(api_keys=parse_api_keys(""), api_open=True)):
        for method, url, sent in _requests(verification_id):
            answer = api.open(url, method=method, json=sent, headers=_bearer(SHOP))
            assert answer.status_code == 404
    assert master.hgetall(keyspace.record_key(verification_id)) == before


def test_two_holders_may_think_of_the_same_idempotency_key(client: Client) -> None:
    """Each gets their own verification, and their own again."""
    api = client()
    found = [
        (
            api.post(
                START, json={"to": "ann@example.org"}, headers=_bearer(key) | {"Idempotency-Key": "1"}
            ).json
            or {}
        )["id"]
        for key in (SHOP, BANK, SHOPS_NEXT, BANK)
    ]
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert found[0] != found[1]


def test_without_keys_the_api_is_closed_and_says_what_to_do(client: Client) -> None:
    """The pages work all the same."""
    closed = client(api_keys=parse_api_keys(""))
    for headers in ({}, _bearer(SHOP)):
        _is_refused(
            closed.post(START, json={"to": "a@example.org"}, headers=headers), "flask api-keys new NAME"
        )
    assert closed.get("/").status_code == 200


def test_an_open_api_is_said_at_the_start(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Loudly, except where it is `flask run`'s own; a key that is sent to it does no harm."""
    nobodys = parse_api_keys("")
    client(api_keys=nobodys, api_open=True, development=True)
    assert not caplog.records
    api = client(api_keys=nobodys, api_open=True)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "VERIFIER_API_OPEN is true" in caplog.text
    _start(api, SHOP)


@pytest.mark.parametrize("path", ["", "/check", "/resend"])
def test_a_backend_may_name_the_person_behind_it(client: Client, clock: RedisTime, path: str) -> None:
    """With a start, a check and a resend."""
    api = client()
    body = _start(api, SHOP, client_ip="2001:db8::1")
    clock.move(31)
    url = START if not path else f"{START}/{body['id']}{path}"
    for client_ip, status in (("192.0.2.7", (200, 201)), ("192.0.2.7:80", (422,)), ("", (422,)), (7, (422,))):
        beside = {"": {"to": "ann@example.org"}, "/check": {"code": "123456"}, "/resend": {}}[path]
        sent = {**beside, "client_ip": client_ip}
        answer = api.post(url, json=sent, headers=_bearer(SHOP))
        assert answer.status_code in status
        if status == (422,):
            assert "client_ip" in json.loads(answer.data)["detail"]


def test_who_has_no_key_names_nobody(client: Client, master: Redis) -> None:
    """Otherwise anybody would be as many clients as they like."""
    api = client(api_keys=parse_api_keys(""), api_open=True)
    answer = api.post(START, json={"to": "ann@example.org", "client_ip": "192.0.2.7"})
    assert answer.status_code == 422
    assert master.dbsize() == 0


def test_the_command_prints_a_key_and_the_line_for_it() -> None:
    """They belong together."""
    done = CliRunner().invoke(api_keys_group, ["new", "shop.example"])
    assert done.exit_code == 0
    key = re.search(r"^    (verifier_\S+)$", done.output, flags=re.MULTILINE)
    entry = re.search(r"^    VERIFIER_API_KEYS=(\S+)$", done.output, flags=re.MULTILINE)
    assert key is not None
    assert entry is not None
    assert parse_api_keys(entry[1]).name_of(key[1]) == "shop.example"


@pytest.mark.parametrize("name", ["", "my shop", "-x", "a" * 41, "a:b", "a,b"])
def test_the_command_refuses_a_name_that_is_none(name: str) -> None:
    """With a sentence, and no key."""
    done = CliRunner().invoke(api_keys_group, ["new", "--", name])
    assert done.exit_code == 2
    assert "1 to 40 letters" in done.output
    assert "VERIFIER_API_KEYS" not in done.output
