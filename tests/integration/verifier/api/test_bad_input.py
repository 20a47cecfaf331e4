"""Each member of each request: missing, null, of another type, too long, with control characters, bidi, another script.

The right status and a sentence for all, and nothing is stored, sent or counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.support.api.conforming import ConformingClient, document_of
from tests.support.clock import RedisTime
from verifier import create_app
from verifier.container import Container, install
from verifier.domain.api_keys import entry_of, parse_api_keys
from verifier.settings import Settings
from verifier.store import keyspace

START = "/v1/verifications"
KEY = f"verifier_{'s' * 43}"
BIDI, ZERO_WIDTH = "\u202e", "\u200b"
REQUIRED = {"": {"to": "ann@example.org"}, "/check": {"code": "000000"}, "/resend": {}, "/cancel": {}}
OTHER_TYPES = [None, True, 0, 1.5, [], ["a"], {}, {"a": "b"}]


@pytest.fixture
def api(settings: Settings, container: Container, clock: RedisTime, master: Redis) -> FlaskClient:
    """A client with a key, on an empty Redis."""
    ours = replace(settings, api_open=False, api_keys=parse_api_keys(entry_of("shop", KEY)))
    app = create_app(ours)
    app.test_client_class = ConformingClient
    install(app, replace(container, settings=ours))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {KEY}"
    return client


Ask = Callable[[str, object], tuple[int, str, str]]


@pytest.fixture
def ask(api: FlaskClient, clock: RedisTime, master: Redis) -> Ask:
    """Send a body to a request of a pending verification; return status, code and sentence, nothing having been done."""
    started = api.post(START, json={"to": "ann@example.org"})
    found = json.loads(started.data)
    clock.move(31)
    before = _records(master)

    def send(action: str, body: object) -> tuple[int, str, str]:
        place = f"{START}/{found['id']}{action}" if action else START
        answer = api.post(place, data=json.dumps(body), content_type="application/json")
        problem = json.loads(answer.data)
        assert answer.status_code >= 400, problem
        assert _records(master) == before
        assert master.llen(keyspace.QUEUE) == 1
        assert problem["detail"].isprintable()
        assert len(problem["detail"]) < 250
        return answer.status_code, problem["code"], problem["detail"]

    return send


def _records(master: Redis) -> dict[str, object]:
    return {key: master.hgetall(key) for key in master.keys(keyspace.record_key("*"))}


@pytest.mark.parametrize(("action", "name"), [("", "to"), ("/check", "code")])
def test_what_has_to_be_there_is_named(ask: Ask, action: str, name: str) -> None:
    """Where it is missing."""
    assert ask(action, {}) == (422, "invalid_request", f'Send a JSON object with the member "{name}".')
    assert ask(action, {"client_ip": "192.0.2.7"})[:2] == (422, "invalid_request")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("", "to"),
        ("", "client_ip"),
        ("", "locale"),
        ("/check", "code"),
        ("/check", "client_ip"),
        ("/resend", "client_ip"),
    ],
)
def test_another_type_is_refused(ask: Ask, action: str, name: str) -> None:
    """Null is another type, too."""
    for value in OTHER_TYPES:
        told = ask(action, {**REQUIRED[action], name: value})
        assert told == (422, "invalid_request", f'The member "{name}" must be a string.')


@pytest.mark.parametrize("action", REQUIRED)
def test_what_is_no_object_is_refused(ask: Ask, action: str) -> None:
    """Whatever else it is."""
    for value in (None, True, 1, "to", [], [{"to": "ann@example.org"}]):
        status, code, sentence = ask(action, value)
        assert (status, code) == (422, "invalid_request")
        assert sentence.startswith("Send a JSON object")


@pytest.mark.parametrize("action", REQUIRED)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("To", '"To"'),
        ("", '""'),
        ("client-ip", '"client-ip"'),
        ("x" * 5_000, f'"{"x" * 40}..."'),
        (f"{BIDI}ot", '"\\u202eot"'),
        ("a\nb\x1b[2J", '"a\\nb\\u001b[2J"'),
        ("\uc8fc\uc18c", '"\\uc8fc\\uc18c"'),
    ],
    ids=["case", "empty", "dash", "long", "bidi", "control", "script"],
)
def test_a_member_that_is_none_is_named(ask: Ask, action: str, name: str, shown: str) -> None:
    """Shortened, and with nothing in it that a terminal or a reader could be led astray by."""
    status, code, sentence = ask(action, {**REQUIRED[action], name: "a"})
    assert (status, code) == (422, "invalid_request")
    assert sentence.startswith(f"There is no member {shown} here. This request takes ")
    assert sentence.isascii()


@pytest.mark.parametrize(
    "to",
    [
        "a" * 255,
        "a" * 243 + "@example.org",
        "ann@example.org" + " " * 240,
        "ann\x00@example.org",
        "ann\x07@example.org",
        "ann\x1b[2J@example.org",
        "ann\x7f@example.org",
        "ann\x85@example.org",
        "ann\u2028@example.org",
        f"ann{BIDI}@example.org",
        f"{BIDI}gro.elpmaxe@nna",
        f"ann@exam{BIDI}ple.org",
        f"ann{ZERO_WIDTH}@example.org",
        "ann@ex\u00e4\u0000mple.org",
        "\ud800@example.org",
    ],
    ids=lambda to: ascii(to)[:24],
)
def test_an_address_that_is_none_is_refused(ask: Ask, to: str) -> None:
    """422 with the sentence that the form shows."""
    assert ask("", {"to": to})[:2] == (422, "invalid_address")


@pytest.mark.parametrize(
    "code",
    [
        "",
        " ",
        "0" * 65,
        "0" * 4_001,
        "000000" + "a" * 4_000,
        "00000\x00",
        "00000\x07",
        f"{BIDI}00000",
        f"000{ZERO_WIDTH}000",
        "\uc77c" * 6,
        "\u00b2" * 6,
    ],
    ids=lambda code: ascii(code)[:24],
)
def test_a_code_that_can_be_none_is_refused(ask: Ask, code: str) -> None:
    """And costs no attempt."""
    assert ask("/check", {"code": code})[:2] == (422, "malformed_code")


@pytest.mark.parametrize("action", ["", "/check", "/resend"])
def test_an_address_of_a_client_that_is_none_is_refused(ask: Ask, action: str) -> None:
    """With what one looks like."""
    for text in (
        "",
        " 192.0.2.7",
        "192.0.2.7/24",
        "fe80::1%eth0",
        "1" * 46,
        "192.0.2.\x007",
        f"{BIDI}7.2.0.291",
        "\uff11.1.1.1",
        "\ud800",
    ):
        status, code, sentence = ask(action, {**REQUIRED[action], "client_ip": text})
        assert (status, code) == (422, "invalid_request")
        assert "such as 192.0.2.7" in sentence


def test_a_language_that_is_none_is_refused(ask: Ask) -> None:
    """With those that there are."""
    for text in (
        "",
        "xx",
        "tlh",
        "english",
        "ko" + " " * 34,
        "k" * 5_000,
        "ko\x00",
        f"{BIDI}ok",
        "\ud55c\uad6d\uc5b4",
    ):
        status, code, sentence = ask("", {"to": "bob@example.org", "locale": text})
        assert (status, code) == (422, "invalid_request")
        assert 'The member "locale" must be a language of this service: en, ko.' in sentence


def test_another_script_is_read(api: FlaskClient) -> None:
    """In an address, and in the digits of a code."""
    answer = api.post(START, json={"to": "\uc0ac\uc6a9\uc790@\uc608\uc2dc.kr"})
    assert answer.status_code == 201
    place = answer.headers["Location"]
    for code in ("\uff10\uff10\uff10\uff10\uff10\uff10", "\u0660" * 6):
        assert api.post(f"{place}/check", json={"code": code}).status_code == 200


def test_every_documented_length_is_the_limit(api: FlaskClient, app: Flask, clock: RedisTime) -> None:
    """What has it is taken, and one more is not."""
    longest = {
        "to": "a" * 64 + "@" + ".".join(["b" * 61, "c" * 61, "d" * 61]) + ".io",
        "code": "0 0 0 0 0 0",
        "client_ip": "0000:0000:0000:0000:0000:ffff:192.168.100.228",
        "locale": "ko",
    }
    schemas = document_of(app)["components"]["schemas"]
    started = api.post(START, json={"to": "ann@example.org"}).headers["Location"]
    clock.move(31)
    places = {"StartBody": START, "CheckBody": f"{started}/check", "ResendBody": f"{started}/resend"}
    required = {"StartBody": "to", "CheckBody": "code"}
    seen = 0
    for kind, place in places.items():
        for name, schema in schemas[kind]["properties"].items():
            value = longest[name]
            if name != "client_ip":
                value = value + " " * (schema["maxLength"] - len(value))
            assert len(value) == schema["maxLength"]
            beside: dict[str, Any] = {each: longest[each] for each in [required.get(kind)] if each}
            assert api.post(place, json={**beside, name: value}).status_code in {200, 201}
            assert api.post(place, json={**beside, name: value + " "}).status_code == 422
            clock.move(61)
            seen += 1
    assert seen == 6


def test_nothing_is_at_other_addresses(api: FlaskClient) -> None:
    """A problem for every method, not a page."""
    for path in ("/v1", "/v1/", "/v1/nothing", f"{START}/", "/v1/%00", "/v1/%ff", "/v1//verifications"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "NONSENSE"):
            answer = api.open(path, method=method)
            assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
            assert json.loads(answer.data)["code"] == "not_found"


def test_another_method_is_told_which_there_are(api: FlaskClient) -> None:
    """405 with Allow."""
    found = f"{START}/{'0' * 32}"
    for path, allowed in (
        (START, "POST"),
        (found, "GET"),
        (f"{found}/check", "POST"),
        (f"{found}/cancel", "POST"),
    ):
        for method in ("PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"):
            answer = api.open(path, method=method)
            assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
            assert allowed in answer.headers["Allow"]
