"""What is posted, and what is said when it is not taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sentinel import PortReservation
from tests.integration.verifier.alerts.receiver import Receiver
from verifier.alerts.book import Book, Entry, State
from verifier.alerts.catalogue import ALERTS
from verifier.alerts.courier import MOST_TRIES, Courier
from verifier.alerts.webhook import payload, post

RUNBOOK = Path(__file__).resolve().parents[4] / "docs" / "runbook.md"
BODY = {"text": "hello"}


def test_a_chat_shows_the_text_and_calls_nobody() -> None:
    """The words of a relay may stand in it."""
    body = payload(ALERTS["RelayRefusesLogin"], State.RESOLVED, "It said: <!channel> & more.", 0, "Example")
    assert body["text"] == (
        "[RESOLVED] Example: RelayRefusesLogin (critical). It is over: It said: &lt;!channel&gt; &amp; more. "
        "Since 1970-01-01 00:00:00 UTC. Runbook: docs/runbook.md#relayrefuseslogin"
    )
    assert body["since"] == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("reply", [302, 400, 500])
def test_only_an_answer_of_2xx_counts(reply: int) -> None:
    """A redirect leads somewhere that nobody has named."""
    with Receiver() as receiver:
        receiver.replies = [reply]
        assert post(receiver.url, BODY) == f"it answered {reply}: invalid_payload"
        assert post(receiver.url, BODY) is None
    assert receiver.bodies == [BODY]


def test_nobody_there_is_said_without_the_url() -> None:
    """It is a secret."""
    ports = PortReservation()
    port = ports.reserve().port
    assert post(f"http://127.0.0.1:{port}/secret", BODY) == "the connection failed: Connection refused"
    ports.release()


def test_a_webhook_that_never_takes_it_is_given_up() -> None:
    """After so many tries, at growing distances."""
    with Receiver() as receiver:
        receiver.replies = [500] * 1000
        courier = Courier(receiver.url, "Example")
        entry = Entry(0, "No worker.", fired_at=0)
        entry.decide(State.FIRING, 0)
        book, now, pauses = Book(entries={"NoWorker": entry}), 0.0, []
        while entry.to_tell is not None:
            courier.step(book, now)
            courier.wind_up(book, now, 60)
            pauses.append(entry.try_at - now)
            now = entry.try_at
    assert receiver.refused == MOST_TRIES
    assert pauses[0] < pauses[2] < pauses[4]
    assert max(pauses) < 100


def test_each_alert_has_its_place_in_the_runbook() -> None:
    """Under its own name."""
    text = RUNBOOK.read_text(encoding="utf-8")
    places = {each.lower() for each in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert {name.lower() for name in ALERTS} - places == set()
