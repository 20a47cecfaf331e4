"""The order of relays, and settings that cannot be."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay import Relay
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relays import Relays

MAIL = OutgoingMail("us@example.org", "you@example.com", "<a@example.org>", b"x\r\n")


def relay(name: str, **more: object) -> RelaySettings:
    return RelaySettings(
        name=name, host="127.0.0.1", port=25, connect_timeout_s=5, command_timeout_s=15, **more
    )  # type: ignore[arg-type]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Outcome | Exception | None]:
    """What each relay answers, by name; the network is left out."""
    by_name: dict[str, Outcome | Exception | None] = {}

    def send(self: Relay, mail: OutgoingMail, ends_at: float) -> Outcome | None:
        answer = by_name[self.settings.name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Relay, "send", send)
    return by_name


SENT = Outcome(Kind.SENT, Stage.BODY, "a", 250)


def test_without_weights_the_first_relay_is_used(answers: dict[str, Outcome | None]) -> None:
    """The order is the operator's."""
    answers.update(a=SENT, b=Outcome(Kind.SENT, Stage.BODY, "b", 250))
    relays = Relays([relay("a"), relay("b")])
    assert {relays.send(MAIL).relay for _ in range(20)} == {"a"}


def test_weights_share_the_mails_out(answers: dict[str, Outcome | None]) -> None:
    """Three to one, about."""
    answers.update(a=SENT, b=Outcome(Kind.SENT, Stage.BODY, "b", 250))
    relays = Relays([relay("a"), relay("b")], weights=[3, 1])
    shares = Counter(relays.send(MAIL).relay for _ in range(2000))
    assert 1350 < shares["a"] < 1650


def test_the_refusal_an_operator_must_hear_of_is_reported(answers: dict[str, Outcome | None]) -> None:
    """One relay is in its cooldown, the other refuses us: the refusal is the outcome."""
    refused = Outcome(Kind.RELAY_REFUSES_US, Stage.CONNECT, "b", 535)
    answers.update(a=None, b=refused)
    assert Relays([relay("a"), relay("b")]).send(MAIL) is refused


def test_with_every_relay_in_its_cooldown_the_mail_is_deferred_at_once(
    answers: dict[str, Outcome | None],
) -> None:
    """Nothing is waited for."""
    answers.update(a=None, b=None)
    outcome = Relays([relay("a"), relay("b")]).send(MAIL)
    assert (outcome.kind, outcome.stage, outcome.ambiguous) == (Kind.DEFERRED, Stage.CONNECT, False)


def test_a_lease_knows_how_long_a_send_may_take() -> None:
    """Each relay may use its whole time."""
    assert Relays([relay("a")]).longest_send_s == 60
    assert Relays([relay("a"), relay("b", total_timeout_s=20.0)]).longest_send_s == 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([],), "At least one relay"),
        (([relay("a"), relay("a")],), "same name"),
        (([relay("a")], [0]), "positive number"),
        (([relay("a")], [1, 2]), "positive number"),
        (
            ([relay("a", security="tls", ca_file=Path("/nowhere/ca.pem"))],),
            "cannot read the CA file /nowhere/ca.pem",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(arguments: tuple, words: str) -> None:
    """At the start, not at the first mail."""
    with pytest.raises(ValueError, match=words):
        Relays(arguments[0], weights=arguments[1] if len(arguments) > 1 else None)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"port": 0}, "port"), ({"host": ""}, "host"), ({"security": "ssl"}, "none, starttls or tls, not ssl")],
)
def test_a_relay_that_cannot_be_is_refused_by_name(wrong: dict[str, object], words: str) -> None:
    """The sentence names the relay."""
    with pytest.raises(ValueError, match=f"Relay main: .*{words}"):
        RelaySettings(
            **{
                "name": "main",
                "host": "h",
                "port": 25,
                "connect_timeout_s": 5,
                "command_timeout_s": 15,
                **wrong,
            }
        )  # type: ignore[arg-type]


def test_a_relays_password_is_in_no_repr() -> None:
    """Settings get logged."""
    assert "hunter2" not in repr(relay("a", username="us", password="hunter2"))


def test_a_senders_mistake_does_not_leave_a_relay_waiting_for_its_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exception that is no relay's doing passes through, and the next mail may probe."""
    now = [0.0]
    ours = Relay(relay("a"), lambda: now[0], lambda: 0.0)
    outcomes: list[Outcome | Exception] = [Outcome(Kind.DEFERRED, Stage.CONNECT), RuntimeError("bug"), SENT]

    def deliver(mail: OutgoingMail, ends_at: float) -> Outcome:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(ours, "_deliver", deliver)
    ours.send(MAIL, math.inf)
    now[0] = 6.0
    with pytest.raises(RuntimeError):
        ours.send(MAIL, math.inf)
    assert ours.send(MAIL, math.inf) is SENT
    assert ours._breaker.open_until is None
