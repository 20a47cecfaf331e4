"""The JSON API on a real Redis: every endpoint, and every bad input."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from sentinel import LocalTopology
from tests.support.apps import container_of
from tests.support.clock import RedisTime
from tests.support.stores import waiting_jobs
from verifier import create_app
from verifier.domain.codes import code_of
from verifier.domain.verifications import DeliveryStatus
from verifier.settings import Settings
from verifier.store.deliveries import Claim, Deliveries, Settlement

UNKNOWN = "0" * 32
START = "/v1/verifications"


@pytest.fixture
def api(app: Flask, master: Redis, clock: RedisTime) -> FlaskClient:
    """A client of the app on an empty Redis."""
    return app.test_client()


def _start(api: FlaskClient, to: str = "ann@example.org") -> dict[str, Any]:
    answer = api.post(START, json={"to": to})
    assert answer.status_code == 201
    return dict(answer.json or {})


def _url(verification: dict[str, Any], action: str = "") -> str:
    return f"{START}/{verification['id']}{action}"


def _check(api: FlaskClient, verification: dict[str, Any], code: str) -> TestResponse:
    return api.post(_url(verification, "/check"), json={"code": code})


def _code(app: Flask, verification: dict[str, Any]) -> str:
    settings = container_of(app).settings
    code = code_of(verification["id"], verification["to"], "test", settings.keys, settings.rules)
    assert code is not None
    return code


def _wrong(app: Flask, verification: dict[str, Any]) -> str:
    return str((int(_code(app, verification)) + 1) % 10**6).zfill(6)


def _unix(text: str) -> float:
    assert text.endswith("Z")
    return datetime.fromisoformat(text).timestamp()


def _is_problem(answer: TestResponse, status: int, code: str) -> None:
    """Check that it is a problem detail of RFC 9457, with a sentence."""
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer.data)
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["type"] == "about:blank"
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"].endswith(".")
    assert len(problem["detail"]) < 250
    assert problem["title"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]


# What works


def test_a_verification_starts_pending(api: FlaskClient, app: Flask, clock: RedisTime, master: Redis) -> None:
    """With all that a client needs to know, and where to find it again; one mail is owed."""
    answer = api.post(START, json={"to": "Ann@EXAMPLE.org"})
    assert answer.status_code == 201
    assert answer.content_type == "application/json"
    body = answer.json
    assert body is not None
    assert answer.headers["Location"] == _url(body)
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(body) == {
        "id",
        "to",
        "status",
        "created_at",
        "expires_at",
        "check_attempts_remaining",
        "resend_available_at",
        "delivery",
    }
    assert body["to"] == "Ann@example.org"
    assert body["status"] == "pending"
    assert body["check_attempts_remaining"] == 3
    created_at = _unix(body["created_at"])
    assert created_at == pytest.approx(clock.now, abs=20)
    assert _unix(body["expires_at"]) - created_at == pytest.approx(600, abs=0.001)
    assert _unix(body["resend_available_at"]) - created_at == pytest.approx(30, abs=0.001)
    assert body["delivery"] == {"number": 1, "status": "queued", "next_try_at": None}
    assert waiting_jobs(master) == [f"{body['id']}-1"]
    assert _code(app, body) not in answer.text


def test_a_verification_is_read_as_it_was_started(api: FlaskClient) -> None:
    """By its id."""
    body = _start(api)
    answer = api.get(_url(body))
    assert answer.status_code == 200
    assert answer.json == body


def test_the_right_code_approves(api: FlaskClient, app: Flask) -> None:
    """It is valid once; from then on the verification is approved, and no check is valid."""
    body = _start(api)
    answer = _check(api, body, _code(app, body))
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["valid"]) == ("approved", True)
    again = _check(api, body, _code(app, body))
    assert again.status_code == 200
    assert again.json is not None
    assert (again.json["status"], again.json["valid"]) == ("approved", False)
    assert again.json["check_attempts_remaining"] == 2
    assert api.get(_url(body)).json["status"] == "approved"  # type: ignore[index]


@pytest.mark.parametrize("form", ["{0} {1}", "{0}-{1}", " {0}{1} ", "{0}.{1}"])
def test_a_code_with_separators_is_accepted(api: FlaskClient, app: Flask, form: str) -> None:
    """As mail programs and people write it."""
    body = _start(api)
    code = _code(app, body)
    answer = _check(api, body, form.format(code[:3], code[3:]))
    assert answer.json is not None
    assert answer.json["valid"] is True


def test_a_wrong_code_is_no_error(api: FlaskClient, app: Flask) -> None:
    """It costs an attempt, and says so."""
    body = _start(api)
    answer = _check(api, body, _wrong(app, body))
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["valid"]) == ("pending", False)
    assert answer.json["check_attempts_remaining"] == 2


def test_after_the_last_attempt_not_even_the_right_code_helps(api: FlaskClient, app: Flask) -> None:
    """It is not an error either."""
    body = _start(api)
    statuses = [_check(api, body, _wrong(app, body)).json["status"] for _ in range(3)]  # type: ignore[index]
    assert statuses == ["pending", "pending", "max_attempts_reached"]
    answer = _check(api, body, _code(app, body))
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["valid"]) == ("max_attempts_reached", False)
    assert answer.json["check_attempts_remaining"] == 0
    assert answer.json["resend_available_at"] is None


def test_an_expired_code_is_not_valid(api: FlaskClient, app: Flask, clock: RedisTime) -> None:
    """Exactly when its life is over; no attempt is counted for it."""
    body = _start(api)
    clock.move(600)
    answer = _check(api, body, _code(app, body))
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["valid"]) == ("expired", False)
    assert answer.json["check_attempts_remaining"] == 3


def test_a_code_is_valid_to_the_end_of_its_life(api: FlaskClient, app: Flask, clock: RedisTime) -> None:
    """Seconds before it is over, which a busy machine does not use up."""
    body = _start(api)
    clock.move(590)
    assert _check(api, body, _code(app, body)).json["valid"] is True  # type: ignore[index]


def test_a_resend_owes_the_next_mail_with_the_same_code(
    api: FlaskClient, app: Flask, clock: RedisTime, master: Redis
) -> None:
    """After the wait; the next one takes twice as long."""
    body = _start(api)
    clock.move(30)
    answer = api.post(_url(body, "/resend"))
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["delivery"] == {"number": 2, "status": "queued", "next_try_at": None}
    assert _unix(answer.json["resend_available_at"]) == pytest.approx(clock.now + 60, abs=20)
    assert waiting_jobs(master) == [f"{body['id']}-1", f"{body['id']}-2"]
    assert _check(api, body, _code(app, body)).json["valid"] is True  # type: ignore[index]


def test_a_resend_gives_no_new_attempts(api: FlaskClient, app: Flask, clock: RedisTime) -> None:
    """They are counted for the life of the verification."""
    body = _start(api)
    _check(api, body, _wrong(app, body))
    clock.move(30)
    assert api.post(_url(body, "/resend")).json["check_attempts_remaining"] == 2  # type: ignore[index]


def test_canceling_ends_it_and_may_be_repeated(api: FlaskClient, app: Flask, master: Redis) -> None:
    """Its mail is owed no longer, and its code is not valid."""
    body = _start(api)
    for _ in range(2):
        answer = api.post(_url(body, "/cancel"))
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json["status"] == "canceled"
        assert answer.json["resend_available_at"] is None
        assert answer.json["delivery"]["status"] == "abandoned"
    assert master.zcard("verifier:due") == 0
    checked = _check(api, body, _code(app, body)).json
    assert checked is not None
    assert (checked["status"], checked["valid"]) == ("canceled", False)


def test_the_delivery_is_told(api: FlaskClient, app: Flask, deliveries: Deliveries) -> None:
    """A deferred mail with the time of its next try; what the relay said is not for everybody."""
    body = _start(api)
    client = container_of(app).link.redis
    [claim] = deliveries.claim(client, "lease", 1)
    assert isinstance(claim, Claim)
    deliveries.settle(client, [Settlement(claim, DeliveryStatus.DEFERRED, 200, "relay: 451 greylisted")])
    answer = api.get(_url(body))
    assert answer.json is not None
    assert answer.json["delivery"]["status"] == "deferred"
    assert _unix(answer.json["delivery"]["next_try_at"]) == pytest.approx(time.time() + 200, abs=60)
    assert "greylisted" not in answer.text


# What is refused

ENDINGS = ["approved", "canceled", "expired", "max_attempts_reached"]


def _end(api: FlaskClient, app: Flask, clock: RedisTime, ending: str) -> dict[str, Any]:
    body = _start(api)
    if ending == "approved":
        _check(api, body, _code(app, body))
    elif ending == "canceled":
        api.post(_url(body, "/cancel"))
    elif ending == "max_attempts_reached":
        for _ in range(3):
            _check(api, body, _wrong(app, body))
    clock.move(600 if ending == "expired" else 60)
    found = api.get(_url(body)).json
    assert found is not None
    assert found["status"] == ending
    return dict(found)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_has_ended_is_not_resent(
    api: FlaskClient, app: Flask, clock: RedisTime, master: Redis, ending: str
) -> None:
    """409 with the sentence for its end."""
    body = _end(api, app, clock, ending)
    jobs = waiting_jobs(master)
    _is_problem(api.post(_url(body, "/resend")), 409, "verification_ended")
    assert waiting_jobs(master) == jobs
    assert api.get(_url(body)).json == body


@pytest.mark.parametrize("ending", [each for each in ENDINGS if each != "canceled"])
def test_what_has_ended_otherwise_is_not_canceled(
    api: FlaskClient, app: Flask, clock: RedisTime, ending: str
) -> None:
    """409, and it stays as it was."""
    body = _end(api, app, clock, ending)
    _is_problem(api.post(_url(body, "/cancel")), 409, "verification_ended")
    assert api.get(_url(body)).json == body


def test_a_resend_too_soon_is_told_how_long_to_wait(
    api: FlaskClient, clock: RedisTime, master: Redis
) -> None:
    """429 with Retry-After, after which it works."""
    body = _start(api)
    clock.move(10.5)
    answer = api.post(_url(body, "/resend"))
    _is_problem(answer, 429, "resend_too_soon")
    assert answer.headers["Retry-After"] == "20"
    assert len(waiting_jobs(master)) == 1
    clock.move(20)
    assert api.post(_url(body, "/resend")).status_code == 200


def test_a_mail_is_not_sent_more_often_than_allowed(
    api: FlaskClient, clock: RedisTime, master: Redis
) -> None:
    """429 without Retry-After: waiting does not help."""
    body = _start(api)
    for wait_s in (30, 60):
        clock.move(wait_s)
        assert api.post(_url(body, "/resend")).status_code == 200
    clock.move(300)
    answer = api.post(_url(body, "/resend"))
    _is_problem(answer, 429, "too_many_sends")
    assert "Retry-After" not in answer.headers
    assert len(waiting_jobs(master)) == 3


BAD_ADDRESSES = [
    "",
    " ",
    "nobody",
    "a@localhost",
    "a@@example.org",
    "a@example.org\n",
    "a@example.org\r\nBcc: b@example.org",
    "Ann <a@example.org>",
    "a@example.org, b@example.org",
    "a" * 65 + "@example.org",
    "a@" + "b." * 200 + "org",
    "a\0@example.org",
    "a\ud800@example.org",
]


@pytest.mark.parametrize("to", BAD_ADDRESSES, ids=lambda to: ascii(to)[:30])
def test_a_bad_address_is_refused(api: FlaskClient, master: Redis, to: str) -> None:
    """422; nothing is stored, nothing mailed."""
    _is_problem(api.post(START, json={"to": to}), 422, "invalid_address")
    assert master.dbsize() == 0


BAD_BODIES = [
    (b"", "application/json", (400, "malformed_request")),
    (b"{", "application/json", (400, "malformed_request")),
    (b"to=a@example.org", "application/json", (400, "malformed_request")),
    (b'{"to": "a@example.org"', "application/json", (400, "malformed_request")),
    (b'{"to": "\xff@example.org"}', "application/json", (400, "malformed_request")),
    (b"[" * 8_000, "application/json", (400, "malformed_request")),
    (b'{"to": ' + b'{"a":' * 1_200 + b"1" + b"}" * 1_201, "application/json", (400, "malformed_request")),
    (b'\xef\xbb\xbf{"to": "a@example.org"}', "application/json", (400, "malformed_request")),
    ('{"to": "a@example.org"}'.encode("utf-16"), "application/json", (400, "malformed_request")),
    (b'{"to": "a@example.org", "to": "b@example.org"}', "application/json", (400, "malformed_request")),
    (b'{"to": {"a": 1, "a": 2}}', "application/json", (400, "malformed_request")),
    (b'{"to": NaN}', "application/json", (400, "malformed_request")),
    (b'{"to": -Infinity}', "application/json", (400, "malformed_request")),
    (b'{"to": "a@example.org"} {}', "application/json", (400, "malformed_request")),
    (b'{"to": "a@example.org\n"}', "application/json", (400, "malformed_request")),
    (b"{'to': 'a@example.org'}", "application/json", (400, "malformed_request")),
    (b'{"to": ' + b"1" * 8_000 + b"}", "application/json", (422, "invalid_request")),
    (b'{"to": 1e999999}', "application/json", (422, "invalid_request")),
    (b'{"to": "a@example.org", "To": "a@example.org"}', "application/json", (422, "invalid_request")),
    (b'{"to": "a@example.org", "code": "123456"}', "application/json", (422, "invalid_request")),
    (b'{"to": "a@example.org", "": ""}', "application/json", (422, "invalid_request")),
    (b"{}", "application/json", (422, "invalid_request")),
    (b"[]", "application/json", (422, "invalid_request")),
    (b"null", "application/json", (422, "invalid_request")),
    (b'"to"', "application/json", (422, "invalid_request")),
    (b'["to"]', "application/json", (422, "invalid_request")),
    (b'{"To": "a@example.org"}', "application/json", (422, "invalid_request")),
    (b'{"to": null}', "application/json", (422, "invalid_request")),
    (b'{"to": 1}', "application/json", (422, "invalid_request")),
    (b'{"to": ["a@example.org"]}', "application/json", (422, "invalid_request")),
    (b'{"to": "a@example.org"}', "text/plain", (415, "unsupported_media_type")),
    (b'{"to": "a@example.org"}', "", (415, "unsupported_media_type")),
    (b'{"to": "a@example.org"}', "application/x-json", (415, "unsupported_media_type")),
    (b'{"to": "a@example.org"}', "application/problem+json", (415, "unsupported_media_type")),
    (b'{"to": "a@example.org"}', "a", (415, "unsupported_media_type")),
    (b"", "", (415, "unsupported_media_type")),
    (b"to=a@example.org", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
    (
        b'{"to": "a@example.org", "x": "' + b"x" * 8 * 1024 + b'"}',
        "application/json",
        (413, "request_too_large"),
    ),
]


@pytest.mark.parametrize(
    ("body", "content_type", "refusal"),
    BAD_BODIES,
    ids=[f"{each[0][:25]!r}-{each[1]}" for each in BAD_BODIES],
)
def test_a_bad_body_is_refused(
    api: FlaskClient, master: Redis, body: bytes, content_type: str, refusal: tuple[int, str]
) -> None:
    """With the right status; nothing is stored, nothing mailed."""
    _is_problem(api.post(START, data=body, content_type=content_type), *refusal)
    assert master.dbsize() == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "malformed_request"),
        (b"{}", "application/json", 422, "invalid_request"),
        (b'{"code": 123456}', "application/json", 422, "invalid_request"),
        (b"code=123456", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"code": "' + b" " * 20_000 + b'"}', "application/json", 413, "request_too_large"),
        (b'{"code": ""}', "application/json", 422, "malformed_code"),
        (b'{"code": "12345"}', "application/json", 422, "malformed_code"),
        (b'{"code": "1234567"}', "application/json", 422, "malformed_code"),
        (b'{"code": "12345a"}', "application/json", 422, "malformed_code"),
        (b'{"code": "\\ud800"}', "application/json", 422, "malformed_code"),
    ],
)
def test_what_can_be_no_code_costs_no_attempt(
    api: FlaskClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    """It is refused before it is judged."""
    verification = _start(api)
    answer = api.post(_url(verification, "/check"), data=body, content_type=content_type)
    _is_problem(answer, status, code)
    assert api.get(_url(verification)).json == verification


def test_no_answer_of_a_verification_is_kept_on_the_way(api: FlaskClient) -> None:
    """An address and its state belong into no cache, errors included."""
    body = _start(api)
    answers = [
        api.get(_url(body)),
        api.get(f"{START}/{UNKNOWN}"),
        api.post(_url(body, "/resend")),
        _check(api, body, "x"),
    ]
    assert [each.status_code for each in answers] == [200, 404, 429, 422]
    assert {each.headers["Cache-Control"] for each in answers} == {"no-store"}


@pytest.mark.parametrize(
    "unknown",
    [UNKNOWN, "1", UNKNOWN[:-1], UNKNOWN + "0", "A" * 32, "g" * 32, "%00", "*", "verifier:due", "é"],
)
@pytest.mark.parametrize(
    ("method", "action"), [("GET", ""), ("POST", "/check"), ("POST", "/resend"), ("POST", "/cancel")]
)
def test_an_unknown_or_malformed_id_is_not_found(
    api: FlaskClient, master: Redis, unknown: str, method: str, action: str
) -> None:
    """404 for each action, and nothing comes into being."""
    answer = api.open(
        f"{START}/{unknown}{action}", method=method, json={"code": "123456"} if action == "/check" else None
    )
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert json.loads(answer.data)["code"] in {"verification_not_found", "not_found"}
    assert master.dbsize() == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", START, "POST"),
        ("DELETE", f"{START}/{UNKNOWN}", "GET"),
        ("GET", f"{START}/{UNKNOWN}/check", "POST"),
        ("PUT", f"{START}/{UNKNOWN}/resend", "POST"),
    ],
)
def test_another_method_is_not_allowed(api: FlaskClient, method: str, path: str, allowed: str) -> None:
    """405 with the methods that are."""
    answer = api.open(path, method=method)
    _is_problem(answer, 405, "method_not_allowed")
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", f"{START}/", f"{START}/{UNKNOWN}/nothing"])
def test_nothing_else_is_there(api: FlaskClient, path: str) -> None:
    """404 as a problem, not as a page."""
    _is_problem(api.get(path), 404, "not_found")


def test_a_full_queue_is_told_with_a_time_to_come_back(settings: Settings, master: Redis) -> None:
    """503 with Retry-After; nothing more is stored."""
    app = create_app(replace(settings, max_owed_mails=1))
    try:
        api = app.test_client()
        _start(api)
        before = master.dbsize()
        answer = api.post(START, json={"to": "bob@example.org"})
        _is_problem(answer, 503, "queue_full")
        assert int(answer.headers["Retry-After"]) > 0
        assert master.dbsize() == before
    finally:
        container_of(app).link.close()


@pytest.fixture
def hurried(settings: Settings, master: Redis) -> Iterator[FlaskClient]:
    """An app whose requests wait for a second only."""
    app = create_app(replace(settings, redis=replace(settings.redis, request_deadline_s=1)))
    yield app.test_client()
    container_of(app).link.close()


@pytest.mark.chaos
def test_an_outage_is_told_within_the_deadline_and_then_at_once(
    hurried: FlaskClient, topology: LocalTopology
) -> None:
    """503 with Retry-After from every endpoint, never a hang; what asks nobody still answers."""
    body = _start(hurried)
    for sentinel in topology.sentinel_nodes:
        sentinel.pause()
    for node in topology.nodes:
        node.kill()
    try:
        requests = [
            lambda: hurried.post(START, json={"to": "ann@example.org"}),
            lambda: hurried.get(_url(body)),
            lambda: _check(hurried, body, "123456"),
            lambda: hurried.post(_url(body, "/resend")),
            lambda: hurried.post(_url(body, "/cancel")),
        ]
        started_at = time.monotonic()
        for request in requests:
            answer = request()
            _is_problem(answer, 503, "service_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        # the first one waits for the deadline; then the circuit is open, and one a second probes
        assert time.monotonic() - started_at < 30
        assert hurried.get("/healthz").status_code == 200
        assert hurried.get("/servez").status_code == 200
        assert hurried.get("/readyz").status_code == 503
    finally:
        topology.heal()
