"""The whole chain against relays of every temper: what becomes of the delivery, and what the person sees.

API and pages, store, a real worker, and a relay on loopback that is told how to behave.
"""

from __future__ import annotations

import email
import logging
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import default as modern_policy
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sentinel import MasterLink, wait_for
from tests.integration.workers.certificates import Authority
from tests.integration.workers.relay_server import (
    EVERYTHING,
    Action,
    Drop,
    FakeRelay,
    Hang,
    Received,
    Say,
    Slowly,
)
from tests.support.apps import container_of
from tests.support.workers import RunningWorker
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.dead_letters import names_of_dead_letters, read_dead_letters
from verifier.store.deliveries import Deliveries
from verifier.store.delivery_reports import DeliveryReport

ADDRESS = "ann@example.org"
DELAYED = "Your email is delayed."
ACCEPTED = "The email is on its way."
REFUSED = "The email could not be delivered to this address."
TOO_LATE = "The email could not be sent in time."
DEADLINE_S = 60.0
WITH_LOGIN = (*EVERYTHING, "AUTH PLAIN")


@dataclass
class Chain:
    """A person's view of their mails, and the operators' view of them."""

    app: Flask
    client: Redis
    settings: Settings

    def start(self, address: str = ADDRESS) -> str:
        """Start a verification that everybody may see, on the pages and through the API; gives its id."""
        return container_of(self.app).service.start(address).id

    def api(self, verification_id: str) -> dict[str, Any]:
        """Return the delivery as the API tells it."""
        answer = self.app.test_client().get(f"/v1/verifications/{verification_id}")
        return dict(answer.json["delivery"])

    def status(self, verification_id: str) -> str:
        """Return the delivery's status."""
        return str(self.api(verification_id)["status"])

    def page(self, verification_id: str) -> str:
        """Return the page of the code."""
        return self.app.test_client().get(f"/verify/{verification_id}").text

    def tries(self, verification_id: str) -> int:
        """Return how often it was tried."""
        return int(self._record(verification_id, "tries"))

    def reply(self, verification_id: str) -> str:
        """Return the relay's words, which are for operators."""
        return self._record(verification_id, "relay_reply")

    def letters(self) -> list[DeliveryReport]:
        """Return the dead letters."""
        return list(read_dead_letters(self.client, names_of_dead_letters(self.client)))

    def owes(self) -> int:
        """Return how many mails are owed."""
        return int(self.client.zcard(keyspace.DUE))

    def becomes(self, verification_id: str, status: str) -> None:
        """Wait until the delivery has this status."""
        assert wait_for(lambda: self.status(verification_id) == status, DEADLINE_S), self.api(verification_id)

    def is_tried_again(self, verification_id: str, worker: RunningWorker) -> None:
        """Let the time pass until the relay is given another chance and the delivery is due."""
        [relay] = worker.container.relays._relays
        with relay._lock:
            # Its cooldown is over; None would mean that it works.
            if relay._state.breaker.open_until is not None:
                relay._state.breaker.open_until = 0.0
        self.client.zadd(keyspace.DUE, {verification_id: 1}, xx=True)

    def _record(self, verification_id: str, name: str) -> str:
        found: Any = self.client.hget(keyspace.record_key(verification_id), name)
        return found.decode() if found else ""


@pytest.fixture
def chain(app: Flask, link: MasterLink, settings: Settings) -> Chain:
    """The app on an empty topology."""
    return Chain(app, link.redis, settings)


@contextmanager
def working(
    settings: Settings,
    port: int,
    *,
    relay_options: Mapping[str, Any] | None = None,
    mail_options: Mapping[str, Any] | None = None,
) -> Iterator[RunningWorker]:
    """Run a worker for the relay on this port."""
    relay = replace(settings.mail.relays[0], port=port, **(relay_options or {}))
    mail = replace(settings.mail, relays=(relay,), connections=2, **(mail_options or {}))
    with RunningWorker(replace(settings, mail=mail)) as worker:
        yield worker


def _message(received: Received) -> EmailMessage:
    message = email.message_from_bytes(received.payload, policy=modern_policy)
    assert isinstance(message, EmailMessage)
    return message


def _code(received: Received) -> str:
    found = re.search(r"\b\d{6}\b", str(_message(received)["Subject"]))
    assert found is not None
    return found[0]


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _relay_at(port: int) -> FakeRelay:
    relay = FakeRelay()
    relay._listener.close()
    relay._listener = socket.create_server(("127.0.0.1", port))
    relay.port = port
    return relay


# Later


def test_greylisting_delays_one_mail_and_no_more(chain: Chain) -> None:
    """451, then 250, on the worker's own timing: about five seconds later."""
    greylist = Say("451 4.7.1 greylisted, come back later")
    with FakeRelay({"rcpt": [greylist]}) as relay, working(chain.settings, relay.port):
        begun = time.monotonic()
        verification = chain.start()
        chain.becomes(verification, "deferred")
        assert chain.api(verification)["next_try_at"] is not None
        # Between four and six seconds, rounded for the page.
        assert re.search(
            f"{DELAYED} .{{0,20}}try again in (a few|about 10) seconds", chain.page(verification)
        )
        assert "greylisted" in chain.reply(verification)
        chain.becomes(verification, "sent")
        assert 3.5 < time.monotonic() - begun < DEADLINE_S
        assert ACCEPTED in chain.page(verification)
    assert chain.api(verification) == {"number": 1, "status": "sent", "next_try_at": None}
    assert chain.tries(verification) == 2
    assert len(relay.mails) == 1
    assert (chain.owes(), chain.letters()) == (0, [])


@pytest.mark.parametrize(
    ("step", "action"),
    [
        ("banner", Say("421 4.3.2 shutting down", close=True)),
        ("banner", Hang()),
        ("mail", Say("450 4.1.0 not now")),
        ("mail", Hang()),
        ("rcpt", Say("450 4.2.1 mailbox busy")),
        ("data", Say("452 4.3.1 disk full")),
        ("data", Hang()),
        ("dot", Say("451 4.3.0 try again")),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "text", "hang")[:3],
)
def test_what_may_pass_is_waited_out(chain: Chain, step: str, action: Action) -> None:
    """Deferred, then sent once; the person is told that it is delayed, not why."""
    impatient = {"connect_timeout_s": 0.5, "command_timeout_s": 0.5}
    with (
        FakeRelay({step: [action]}) as relay,
        working(chain.settings, relay.port, mail_options=impatient) as worker,
    ):
        verification = chain.start()
        chain.becomes(verification, "deferred")
        page = chain.page(verification)
        chain.is_tried_again(verification, worker)
        chain.becomes(verification, "sent")
    assert DELAYED in page
    assert chain.reply(verification)
    assert relay.counts[step] == 2
    assert chain.tries(verification) == 2
    assert len(relay.mails) == 1


def test_a_slow_relay_is_waited_for(chain: Chain) -> None:
    """Byte by byte is still an answer: sent at the first try."""
    slow = Slowly("250 2.1.5 ok", byte_s=0.1)
    with FakeRelay({"rcpt": [slow]}) as relay, working(chain.settings, relay.port):
        verification = chain.start()
        chain.becomes(verification, "sending")
        assert "Your email is being sent right now." in chain.page(verification)
        chain.becomes(verification, "sent")
    assert (chain.tries(verification), len(relay.mails)) == (1, 1)


def test_a_relay_that_is_away_and_comes_back_gets_one_mail(chain: Chain) -> None:
    """Connection refused, as often as it takes."""
    port = _unused_port()
    with working(chain.settings, port) as worker:
        verification = chain.start()
        chain.becomes(verification, "deferred")
        assert DELAYED in chain.page(verification)
        assert "connection refused" in chain.reply(verification)
        with _relay_at(port) as relay:
            chain.is_tried_again(verification, worker)
            chain.becomes(verification, "sent")
        assert ACCEPTED in chain.page(verification)
    assert chain.tries(verification) == 2
    assert len(relay.mails) == 1
    assert chain.letters() == []


# About us, not about the person


def test_a_refused_login_delays_the_mails_and_tells_the_operator_once(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    """535 is no refusal of an address: all mails wait, and go out once the login works."""
    wrong = Say("535 5.7.8 authentication failed")
    login = {"username": "us", "password": "secret"}
    with (
        caplog.at_level(logging.ERROR),
        FakeRelay({"auth": [wrong] * 20}, WITH_LOGIN) as relay,
        working(chain.settings, relay.port, relay_options=login) as worker,
    ):
        verifications = [chain.start(f"person{number}@example.org") for number in range(3)]
        for each in verifications:
            chain.becomes(each, "deferred")
            assert DELAYED in chain.page(each)
        relay.steps["auth"].clear()
        # One mail is the probe that ends the relay's cooldown; the others follow.
        chain.is_tried_again(verifications[0], worker)
        chain.becomes(verifications[0], "sent")
        for each in verifications[1:]:
            chain.is_tried_again(each, worker)
            chain.becomes(each, "sent")
    told = [record for record in caplog.records if "refuses this service" in record.getMessage()]
    assert len(told) == 1
    assert "535" in told[0].getMessage()
    assert "secret" not in caplog.text
    # Those whose turn came in its cooldown at first were not tried then.
    assert chain.tries(verifications[0]) == 2
    assert all(chain.tries(each) in (1, 2) for each in verifications)
    assert len(relay.mails) == 3
    assert chain.letters() == []


def test_a_relay_with_a_strange_certificate_gets_nothing(chain: Chain, tmp_path: Path) -> None:
    """Neither login nor mail; the mail is delayed, since it is the operator's to mend."""
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    with (
        FakeRelay(offers=WITH_LOGIN, tls=theirs.server_context("127.0.0.1")) as relay,
        working(
            chain.settings,
            relay.port,
            relay_options={"security": "starttls", "username": "us", "password": "secret"},
            mail_options={"ca_file": ours.ca_file},
        ),
    ):
        verification = chain.start()
        chain.becomes(verification, "deferred")
        assert DELAYED in chain.page(verification)
    assert "certificate was not accepted" in chain.reply(verification)
    assert (chain.tries(verification), relay.mails) == (1, [])
    assert b"secret" not in relay.overheard


# Never


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("rcpt", "550 5.1.1 no such user here"),
        ("dot", "552 5.2.2 mailbox full"),
        ("dot", "554 5.6.0 we do not like it"),
    ],
    ids=["550", "552", "554"],
)
def test_a_refused_address_is_refused_at_once(
    chain: Chain, step: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No retry; the person is told to look for typos, the operator what the relay said."""
    with FakeRelay({step: [Say(text)]}) as relay, working(chain.settings, relay.port):
        verification = chain.start()
        chain.becomes(verification, "rejected")
        page = chain.page(verification)
        # The next person's mail shows that the worker has gone on.
        other = chain.start("bob@example.org")
        chain.becomes(other, "sent")
    assert REFUSED in page
    assert text[4:] not in page
    assert chain.api(verification) == {"number": 1, "status": "rejected", "next_try_at": None}
    assert (chain.tries(verification), chain.owes()) == (1, 0)
    assert [_message(mail)["To"] for mail in relay.mails] == ["bob@example.org"]
    [letter] = chain.letters()
    assert (letter.verification_id, letter.address, letter.tries) == (verification, ADDRESS, 1)
    assert text in letter.relay_reply
    assert text in chain.reply(verification)
    assert "was given up (rejected): it is a dead letter" in caplog.text


def test_the_words_of_a_refused_login_outlive_a_relay_that_is_gone(chain: Chain) -> None:
    """535, then nobody listens any more, then the code's life ends: the dead letter still has the 535."""
    wrong = "535 5.7.8 authentication failed"
    login = {"username": "us", "password": "secret"}
    with FakeRelay({"auth": [Say(wrong)] * 20}, WITH_LOGIN) as relay:
        with working(chain.settings, relay.port, relay_options=login):
            verification = chain.start()
            chain.becomes(verification, "deferred")
            # What waits through the relay's cooldown is not asked about anew.
            waiting = chain.start("bob@example.org")
            chain.becomes(waiting, "deferred")
        assert wrong in chain.reply(verification)
        assert wrong in chain.reply(waiting)
    with working(chain.settings, _unused_port(), relay_options=login):
        for each in (verification, waiting):
            chain.client.zadd(keyspace.DUE, {each: 1}, xx=True)
            assert wait_for(lambda each=each: "connection refused (before: " in chain.reply(each), DEADLINE_S)  # type: ignore[misc] # mypy has no types for lambdas' defaults
            assert wrong in chain.reply(each)
        record = keyspace.record_key(verification)
        chain.client.hset(record, "expires_at", str(time.time() + 61))
        chain.client.zadd(keyspace.DUE, {verification: 1}, xx=True)
        chain.becomes(verification, "abandoned")
    [letter] = chain.letters()
    assert wrong in letter.relay_reply


def test_a_code_with_too_little_life_left_is_never_mailed(chain: Chain) -> None:
    """It was accepted ten minutes ago and nobody came: given up, kept for operators."""
    verification = _accepted_ago(chain, chain.settings.rules.lifetime_s - 30)
    with FakeRelay() as relay, working(chain.settings, relay.port):
        chain.becomes(verification, "abandoned")
    assert TOO_LATE in chain.page(verification)
    assert (relay.mails, relay.counts["session"]) == ([], 0)
    assert (chain.tries(verification), chain.owes()) == (0, 0)
    [letter] = chain.letters()
    assert (letter.verification_id, letter.status, letter.found_as) == (verification, "abandoned", "queued")


def test_retries_end_while_the_code_still_has_life(chain: Chain) -> None:
    """No try is left that would reach the person in time: given up after the last one, with the relay's words."""
    with FakeRelay({"rcpt": [Say("451 4.7.1 busy")] * 9}) as relay, working(chain.settings, relay.port):
        # The next try would come after 1.5 seconds at the soonest, with less than a minute left.
        verification = _accepted_ago(chain, chain.settings.rules.lifetime_s - 61.4)
        chain.becomes(verification, "abandoned")
        assert TOO_LATE in chain.page(verification)
    assert (chain.tries(verification), relay.counts["rcpt"], relay.mails) == (1, 1, [])
    [letter] = chain.letters()
    assert (letter.tries, letter.found_as) == (1, "")
    assert "busy" in letter.relay_reply


def _accepted_ago(chain: Chain, seconds: float) -> str:
    service, life_s = container_of(chain.app).service, chain.settings.rules.lifetime_s - seconds
    service.rules, before = replace(service.rules, lifetime_s=life_s), service.rules
    verification = chain.start()
    service.rules = before
    return verification


# Maybe twice


@pytest.mark.parametrize(("kept", "mails"), [(True, 2), (False, 1)])
def test_a_lost_answer_to_the_mail_is_repeated_as_the_same_mail(
    chain: Chain, *, kept: bool, mails: int
) -> None:
    """The relay may have taken it: the repeat has the same Message-ID and the same code."""
    with (
        FakeRelay({"dot": [Drop(keep=kept)]}) as relay,
        working(chain.settings, relay.port) as worker,
    ):
        verification = chain.start()
        chain.becomes(verification, "deferred")
        assert DELAYED in chain.page(verification)
        chain.is_tried_again(verification, worker)
        chain.becomes(verification, "sent")
        assert ACCEPTED in chain.page(verification)
    assert chain.tries(verification) == 2
    assert len(relay.mails) == mails
    assert len({_message(mail)["Message-ID"] for mail in relay.mails}) == 1
    assert len({_code(mail) for mail in relay.mails}) == 1
    code = _code(relay.mails[-1])
    answer = chain.app.test_client().post(f"/v1/verifications/{verification}/check", json={"code": code})
    assert answer.json["valid"] is True


def test_an_operator_has_a_dead_letter_sent_after_all(chain: Chain, deliveries: Deliveries) -> None:
    """A relay that refused by mistake: requeued, sent once, and no dead letter is left."""
    with FakeRelay({"rcpt": [Say("550 5.1.1 our mistake")]}) as relay, working(chain.settings, relay.port):
        verification = chain.start()
        chain.becomes(verification, "rejected")
        assert deliveries.revive(chain.client, verification, None) == ("requeued", 1)
        chain.becomes(verification, "sent")
    assert (chain.tries(verification), len(relay.mails), chain.letters()) == (2, 1, [])
