"""A request that is repeated, because its answer got lost or was a 503, is the same request."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask
from redis import Redis

from tests.support.apps import container_of
from tests.support.clock import RedisTime
from tests.support.stores import lose_answers
from verifier.container import Container
from verifier.domain.callers import Caller, CallerKind
from verifier.domain.codes import code_of
from verifier.domain.errors import RequestReused, ServiceUnavailable
from verifier.domain.keys import KeyRing
from verifier.domain.verifications import Status
from verifier.service import VerificationService
from verifier.store import keyspace
from verifier.store import verifications as store_module

PATH = "/v1/verifications"
KEY = {"Idempotency-Key": '"a-key-of-the-caller"'}


@pytest.fixture(autouse=True)
def _empty(master: Redis) -> None:
    """Nothing was asked before."""


def _code(app: Flask, verification_id: str) -> str:
    container = container_of(app)
    found = container.service.get(verification_id)
    code = code_of(found.id, found.address, found.key_id, container.settings.keys, container.settings.rules)
    assert code is not None
    return code


def test_a_start_with_the_same_key_leads_to_the_same_verification(app: Flask, master: Redis) -> None:
    """One mail, however often and however many at a time."""

    def post(_: int) -> str:
        answer = app.test_client().post(PATH, json={"to": "ann@example.org"}, headers=KEY)
        assert answer.status_code == 201
        return str(answer.json["id"])

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(post, range(8)))) == 1
    assert master.llen(keyspace.QUEUE) == 1


def test_the_log_tells_of_each_mail_once(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """A repeat, and a start that leads to what is pending and may not be sent again yet, owe nobody a mail."""
    service = container_of(app).service
    caller = Caller(CallerKind.KEY, "shop", client_ip="192.0.2.7")
    with caplog.at_level(logging.INFO, logger="verifier.service"):
        first = service.start("ann@example.org", request_key="a", caller=caller)
        for key in ("a", "a", "b", "c"):
            assert service.start("ann@example.org", request_key=key, caller=caller).id == first.id
        said = [each.getMessage() for each in caplog.records]
    assert said == [f"Delivery 1 of verification {first.id} is accepted."]


def test_the_log_tells_of_a_mail_whose_first_try_lost_its_answer(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a failover, say: then the second try of the same request finds what the first has written."""
    with caplog.at_level(logging.INFO, logger="verifier.service"):
        with monkeypatch.context() as patch:
            lose_answers(patch, store_module, 1)
            answer = app.test_client().post(PATH, json={"to": "ann@example.org"}, headers=KEY)
        again = app.test_client().post(PATH, json={"to": "ann@example.org"}, headers=KEY)
        said = [each.getMessage() for each in caplog.records]
    assert answer.status_code == again.status_code == 201
    assert said == [f"Delivery 1 of verification {answer.json['id']} is accepted."]


def test_the_log_tells_of_a_resend_once(
    app: Flask, clock: RedisTime, caplog: pytest.LogCaptureFixture
) -> None:
    """However often its request is repeated; and of the one that a later start counts as."""
    service = container_of(app).service
    caller = Caller(CallerKind.KEY, "shop", client_ip="192.0.2.7")
    first = service.start("ann@example.org", request_key="a", caller=caller)
    with caplog.at_level(logging.INFO, logger="verifier.service"):
        clock.move(60)
        for _ in range(3):
            service.resend(first.id, request_key="r", caller=caller)
        clock.move(120)
        for key in ("b", "b", "c"):
            assert service.start("ann@example.org", request_key=key, caller=caller).id == first.id
        said = [each.getMessage().split()[:2] for each in caplog.records]
    assert said == [["Delivery", "2"], ["Delivery", "3"]]


def test_without_a_key_each_start_is_a_new_one(app: Flask) -> None:
    """As before."""
    ids = {app.test_client().post(PATH, json={"to": "ann@example.org"}).json["id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_key_with_another_body_is_refused(app: Flask) -> None:
    """As the IETF's draft has it; the first one stands."""
    first = app.test_client().post(PATH, json={"to": "ann@example.org"}, headers=KEY)
    second = app.test_client().post(PATH, json={"to": "bob@example.org"}, headers=KEY)
    assert (second.status_code, second.json["code"]) == (422, "idempotency_key_reused")
    assert app.test_client().get(f"{PATH}/{first.json['id']}").json["to"] == "ann@example.org"


BAD_KEYS = [
    "",
    " ",
    '""',
    '"',
    '"a',
    'a"',
    '"a"b"',
    '"a\\b"',
    '"a", "b"',
    "a,b",
    "a b",
    "a\\b",
    "x" * 256,
    '"' + "x" * 256 + '"',
    "\xe9",
    '"\xe9"',
    "a\tb",
    "a\x00b",
    "a\x7fb",
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: ascii(key)[:20])
@pytest.mark.parametrize("action", ["", "/check", "/resend"])
def test_a_key_that_is_none_is_refused(app: Flask, master: Redis, key: str, action: str) -> None:
    """Empty, too long, not ASCII, not printable, half a string, or two: 400 with one sentence, and nothing is done."""
    body = {"": {"to": "ann@example.org"}, "/check": {"code": "123456"}, "/resend": {}}[action]
    place = f"{PATH}/{'0' * 32}{action}" if action else PATH
    answer = app.test_client().post(place, json=body, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")
    assert "Idempotency-Key" in answer.json["detail"]
    assert master.dbsize() == 0


def test_a_right_code_checked_again_with_the_same_key_is_still_valid(app: Flask) -> None:
    """And without a key, or with another one, it is not: a code works once."""
    client = app.test_client()
    verification_id = client.post(PATH, json={"to": "ann@example.org"}).json["id"]
    body = {"code": _code(app, verification_id)}
    answers = [client.post(f"{PATH}/{verification_id}/check", json=body, headers=KEY) for _ in range(3)]
    assert [answer.json["valid"] for answer in answers] == [True, True, True]
    assert answers[-1].json["check_attempts_remaining"] == answers[0].json["check_attempts_remaining"]
    assert client.post(f"{PATH}/{verification_id}/check", json=body).json["valid"] is False


def test_a_wrong_code_checked_again_with_the_same_key_costs_one_attempt(app: Flask) -> None:
    """With another code the key is refused, and nothing is counted."""
    client = app.test_client()
    verification_id = client.post(PATH, json={"to": "ann@example.org"}).json["id"]
    wrong = f"{(int(_code(app, verification_id)) + 1) % 1_000_000:06}"
    for _ in range(3):
        answer = client.post(f"{PATH}/{verification_id}/check", json={"code": wrong}, headers=KEY)
        assert (answer.json["valid"], answer.json["check_attempts_remaining"]) == (False, 2)
    other = {"code": _code(app, verification_id)}
    answer = client.post(f"{PATH}/{verification_id}/check", json=other, headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert client.get(f"{PATH}/{verification_id}").json["check_attempts_remaining"] == 2


def test_a_resend_with_the_same_key_sends_once(app: Flask, clock: RedisTime, master: Redis) -> None:
    """Though asking again would be too soon by then."""
    client = app.test_client()
    verification_id = client.post(PATH, json={"to": "ann@example.org"}).json["id"]
    clock.move(31)
    answers = [client.post(f"{PATH}/{verification_id}/resend", headers=KEY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert {answer.json["delivery"]["number"] for answer in answers} == {2}
    assert client.post(f"{PATH}/{verification_id}/resend").status_code == 429


# What is remembered, and for how long


def test_the_key_of_an_earlier_resend_sends_no_other_mail(
    container: Container, clock: RedisTime, master: Redis
) -> None:
    """However many there were since."""
    service = container.service
    first = service.start("ann@example.org")
    for number, key in enumerate(["one", "two"], start=2):
        clock.move(70)
        assert service.resend(first.id, request_key=key).delivery.number == number
    clock.move(300)
    again = service.resend(first.id, request_key="one")
    assert (again.delivery.number, again.repeated) == (2 + 1, True)
    assert master.llen(keyspace.QUEUE) == 3


def _shop(client_ip: str = "") -> Caller:
    return Caller(CallerKind.KEY, "shop", client_ip)


def test_a_start_that_led_to_a_pending_verification_leads_there_again(
    container: Container, app: Flask, master: Redis
) -> None:
    """Also when that one has ended by then, where a start with another key makes a new one."""
    service = container.service
    pending = service.start("ann@example.org", request_key="one", request_body="", caller=_shop())
    led = service.start("ann@example.org", request_key="two", request_body="", caller=_shop())
    assert (led.id, led.repeated) == (pending.id, False)
    assert service.check(pending.id, _code(app, pending.id), caller=_shop()).valid
    again = service.start("ann@example.org", request_key="two", request_body="", caller=_shop())
    assert (again.id, again.decided, again.repeated) == (pending.id, Status.APPROVED, True)
    with pytest.raises(RequestReused):
        service.start("bob@example.org", request_key="two", request_body="", caller=_shop())
    assert master.llen(keyspace.QUEUE) == 1
    other = service.start("ann@example.org", request_key="three", request_body="", caller=_shop())
    assert (other.id == pending.id, other.repeated) == (False, False)


def test_so_many_starts_that_led_to_one_verification_are_remembered(
    container: Container, master: Redis
) -> None:
    """Whoever starts in a loop fills no memory; and what nobody named a key for is not remembered at all."""
    service = container.service
    pending = service.start("ann@example.org", caller=_shop())
    for number in range(40):
        key = f"key {number}"
        assert service.start("ann@example.org", request_key=key, caller=_shop()).id == pending.id
    assert len(master.keys(keyspace.record_key("*"))) == 1
    for number in range(40):
        key = f"key {number}"
        led = service.start("ann@example.org", request_key=key, request_body="", caller=_shop())
        assert led.id == pending.id
    assert len(master.keys(keyspace.record_key("*"))) == 1 + 16
    assert all(0 < master.pttl(key) <= 670_000 for key in master.keys(keyspace.record_key("*")))


def test_what_led_to_a_canceled_verification_leads_nowhere_when_that_is_gone(
    container: Container, master: Redis
) -> None:
    """Then it makes a new one, which is whole."""
    service = container.service
    pending = service.start("ann@example.org", request_key="one", request_body="", caller=_shop())
    service.start("ann@example.org", request_key="two", request_body="", caller=_shop())
    master.delete(keyspace.record_key(pending.id))
    other = service.start("ann@example.org", request_key="two", request_body="", caller=_shop())
    assert other.id != pending.id
    assert service.get(other.id, caller=_shop()).address == "ann@example.org"


@pytest.mark.parametrize("action", ["start", "check", "resend"])
def test_repeats_that_come_at_the_same_time_get_the_same_answer(
    container: Container, clock: RedisTime, app: Flask, master: Redis, action: str
) -> None:
    """Nobody has to be told that the first is still being worked on: each step is one step in Redis."""
    service = container.service
    found = service.start("ann@example.org", caller=_shop())
    code = _code(app, found.id)
    clock.move(31)

    def ask(_: int) -> tuple[str, int, bool]:
        known = {"request_key": "k", "request_body": "", "caller": _shop()}
        if action == "start":
            started = service.start("bob@example.org", **known)
            return started.id, started.delivery.number, True
        if action == "check":
            result = service.check(found.id, code, **known)
            return found.id, result.verification.check_attempts, result.valid
        return found.id, service.resend(found.id, **known).delivery.number, True

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(12)))) == 1
    assert master.llen(keyspace.QUEUE) == (1 if action == "check" else 2)


def test_a_form_sent_twice_leads_to_the_same_page(app: Flask, master: Redis) -> None:
    """By an impatient finger, or by the page that tries again by itself."""
    client = app.test_client()
    form = client.get("/").text
    fields = dict(re.findall(r'name="(csrf_token|request)" value="([^"]+)"', form))
    places = {
        client.post("/verify", data={**fields, "email": "ann@example.org"}).headers["Location"]
        for _ in range(2)
    }
    assert len(places) == 1
    assert master.llen(keyspace.QUEUE) == 1
    other = client.post("/verify", data={**fields, "email": "bob@example.org"}).headers["Location"]
    assert other not in places


def test_a_503_names_the_key_with_which_trying_again_is_safe(app: Flask) -> None:
    """And says that nobody knows yet."""
    container: Container = container_of(app)

    class Away(VerificationService):
        def start(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise ServiceUnavailable("We don't know yet.")

    app.extensions["verifier"] = replace(
        container, service=Away(container.service._store, container.settings.keys, container.settings.rules)
    )
    answer = app.test_client().post(PATH, json={"to": "ann@example.org"})
    assert answer.status_code == 503
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["Idempotency-Key"])


# Keys that are being rotated


def _with_keys(container: Container, *names: str) -> VerificationService:
    keys = KeyRing(names[0], {name: f"{name} is a secret that is long enough".encode() for name in names})
    return VerificationService(container.service._store, keys, container.settings.rules)


def test_a_process_that_lacks_the_key_counts_no_attempt(container: Container) -> None:
    """The person is told to try again, and can: the attempts are all there."""
    new, old = _with_keys(container, "k2", "k1"), _with_keys(container, "k1")
    verification = new.start("ann@example.org")
    for _ in range(5):
        with pytest.raises(ServiceUnavailable, match="not counted"):
            old.check(verification.id, "123456")
    code = code_of(verification.id, verification.address, "k2", new._keys, new.rules)
    assert code is not None
    result = new.check(verification.id, code)
    assert result.valid
    assert result.verification.check_attempts == 1


def test_a_repeat_finds_its_first_try_although_keys_were_rotated_between(container: Container) -> None:
    """In two steps, as documented, or by a process that is a step behind."""
    before, after = _with_keys(container, "k1", "k2"), _with_keys(container, "k2", "k1")
    first = before.start("ann@example.org", request_key="one")
    assert after.start("ann@example.org", request_key="one").id == first.id
    with pytest.raises(RequestReused):
        after.start("bob@example.org", request_key="one")
    wrong = (
        "000000"
        if code_of(first.id, first.address, "k1", before._keys, before.rules) != "000000"
        else "000001"
    )
    assert not before.check(first.id, wrong, request_key="c").valid
    assert after.check(first.id, wrong, request_key="c").verification.check_attempts == 1


def test_a_repeat_that_can_not_be_compared_tries_no_other_code(container: Container) -> None:
    """By a process without the key of the first: it would be judged and not counted, time after time."""
    new, old = _with_keys(container, "k2", "k1"), _with_keys(container, "k1")
    verification = old.start("ann@example.org")
    code = code_of(verification.id, verification.address, "k1", old._keys, old.rules)
    assert code is not None
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert not new.check(verification.id, wrong, request_key="c").valid
    with pytest.raises(ServiceUnavailable, match="not counted"):
        old.check(verification.id, code, request_key="c")
    assert old.check(verification.id, code, request_key="d").valid


def test_another_code_in_the_same_form_is_another_check(app: Flask) -> None:
    """Somebody goes back to the form that was sent and corrects the code; the same code again costs nothing."""
    client = app.test_client()
    fields = dict(re.findall(r'name="(csrf_token|request)" value="([^"]+)"', client.get("/").text))
    place = client.post("/verify", data={**fields, "email": "ann@example.org"}).headers["Location"]
    verification_id = place.rpartition("/")[2]
    form = dict(re.findall(r'name="(csrf_token|request)" value="([^"]+)"', client.get(place).text))
    code = _code(app, verification_id)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(2):
        client.post(place, data={**form, "code": wrong})
        assert "You have 2 attempts left." in client.get(place).text
    assert container_of(app).service.get(verification_id).check_attempts == 1
    assert client.post(place, data={**form, "code": code}).status_code == 303
    assert container_of(app).service.get(verification_id).decided.value == "approved"
