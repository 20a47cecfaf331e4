"""The table of answers: a row a test."""

from __future__ import annotations

import smtplib
import socket
import ssl

import pytest

from workers.smtp.answers import (
    Kind,
    Outcome,
    Stage,
    accepted,
    enhanced_status,
    outcome_of_error,
    outcome_of_reply,
    printable,
    smtputf8_missing,
)

SENT, DEFERRED, REJECTED, US = Kind.SENT, Kind.DEFERRED, Kind.REJECTED, Kind.RELAY_REFUSES_US


@pytest.mark.parametrize(
    ("stage", "code", "reply", "kind"),
    [
        ("connect", 421, "4.3.2 busy", DEFERRED),
        ("connect", 454, "4.7.0 login not available now", DEFERRED),
        ("connect", 535, "5.7.8 wrong password", US),
        ("connect", 554, "go away", US),
        ("mail", 421, "bye", DEFERRED),
        ("mail", 452, "4.3.1 disk full", DEFERRED),
        ("mail", 530, "5.7.0 log in first", US),
        ("mail", 550, "5.1.8 sender unknown", US),
        ("mail", 552, "5.3.4 too big", US),
        ("rcpt", 421, "bye", DEFERRED),
        ("rcpt", 450, "4.2.1 busy", DEFERRED),
        ("rcpt", 451, "4.7.1 greylisted", DEFERRED),
        ("rcpt", 550, "5.1.1 nobody", REJECTED),
        ("rcpt", 550, "no enhanced status", REJECTED),
        ("rcpt", 552, "5.2.2 full", REJECTED),
        ("rcpt", 501, "5.1.3 bad address", REJECTED),
        ("rcpt", 550, "5.7.1 this list takes mail of members only", REJECTED),
        ("rcpt", 550, "5.1.1 nobody at relay.example", REJECTED),
        ("rcpt", 503, "5.5.1 MAIL first", US),
        ("rcpt", 530, "5.7.0 log in first", US),
        ("rcpt", 550, "5.1.8 sender's domain unknown", US),
        ("rcpt", 554, "5.7.1 <a@b.example>: Relay access denied", US),
        ("rcpt", 550, "5.7.54 unable to relay recipient", US),
        ("rcpt", 550, "relaying denied", US),
        ("data", 451, "4.3.0 later", DEFERRED),
        ("data", 554, "5.5.0 no", REJECTED),
        ("data", 503, "5.5.1 RCPT first", US),
        ("body", 250, "ok", SENT),
        ("body", 252, "ok, I think", SENT),
        ("body", 451, "4.3.0 later", DEFERRED),
        ("body", 552, "5.3.4 too big", REJECTED),
        ("body", 554, "5.7.1 spam", REJECTED),
        ("body", 550, "5.7.26 unauthenticated mail", US),
        ("body", 354, "what?", DEFERRED),
        ("mail", -1, "no code at all", DEFERRED),
    ],
)
def test_stage_and_reply_decide(stage: str, code: int, reply: str, kind: Kind) -> None:
    """One row of the table."""
    outcome = outcome_of_reply(Stage(stage), code, reply.encode(), "main")
    assert outcome.kind is kind
    assert (outcome.relay, outcome.reply) == ("main", reply)
    assert outcome.code == (None if code < 0 else code)


@pytest.mark.parametrize(
    ("stage", "error", "kind", "words"),
    [
        ("connect", TimeoutError("x"), DEFERRED, "no answer in time"),
        ("connect", ConnectionRefusedError(111, "x"), DEFERRED, "connection refused"),
        ("connect", socket.gaierror(-3, "x"), DEFERRED, "the relay's name could not be resolved"),
        ("connect", OSError(113, "No route to host"), DEFERRED, "connection failed: No route to host"),
        ("connect", ssl.SSLError(1, "x"), US, "TLS failed: no reason given"),
        ("connect", ssl.SSLEOFError(8, "x"), DEFERRED, "TLS failed: no reason given"),
        ("connect", smtplib.SMTPNotSupportedError("x"), US, "the relay offers no STARTTLS or no login"),
        ("connect", smtplib.SMTPException("x"), US, "no way to log in that both sides know"),
        ("connect", UnicodeEncodeError("ascii", "pässword", 1, 2, "x"), US, "a host name or a password"),
        ("connect", ValueError("x"), US, "the relay's answer was not understood"),
        ("mail", smtplib.SMTPServerDisconnected("x"), DEFERRED, "the relay closed the connection"),
        ("body", ConnectionResetError(104, "reset"), DEFERRED, "connection failed: reset"),
    ],
)
def test_stage_and_exception_decide(stage: str, error: Exception, kind: Kind, words: str) -> None:
    """One row of the table, in our own words."""
    outcome = outcome_of_error(Stage(stage), error, "main")
    assert outcome.kind is kind
    assert outcome.code is None
    assert outcome.reply.startswith(words)
    assert not outcome.ambiguous


def test_a_certificate_that_does_not_verify_is_the_relay_refusing_us() -> None:
    """With the reason that OpenSSL gives."""
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = "self-signed certificate"
    outcome = outcome_of_error(Stage.CONNECT, error, "main")
    assert outcome.kind is US
    assert outcome.reply == "the relay's certificate was not accepted: self-signed certificate"


def test_a_421_hidden_behind_the_lost_connection_is_found() -> None:
    """smtplib leaves it in the context of the exception that follows."""
    lost = smtplib.SMTPServerDisconnected("please run connect() first")
    lost.__context__ = smtplib.SMTPDataError(421, b"4.3.2 going down")
    outcome = outcome_of_error(Stage.DATA, lost, "main")
    assert (outcome.kind, outcome.code, outcome.reply) == (DEFERRED, 421, "4.3.2 going down")


def test_losing_the_connection_after_the_dot_is_ambiguous() -> None:
    """And only then."""
    lost = smtplib.SMTPServerDisconnected("x")
    assert outcome_of_error(Stage.BODY, lost, "main", dot_sent=True).ambiguous
    assert not outcome_of_error(Stage.BODY, lost, "main").ambiguous


@pytest.mark.parametrize(
    ("code", "ambiguous"), [(250, False), (421, False), (554, False), (354, True), (-1, True)]
)
def test_an_answer_to_the_dot_that_nobody_understands_is_ambiguous(code: int, ambiguous: bool) -> None:
    """It may have been a yes."""
    assert outcome_of_reply(Stage.BODY, code, b"", "main").ambiguous is ambiguous


@pytest.mark.parametrize(
    ("outcome", "relay_failed", "next_may_help"),
    [
        (Outcome(SENT, Stage.BODY, code=250), False, False),
        (Outcome(DEFERRED, Stage.CONNECT), True, True),
        (Outcome(US, Stage.CONNECT, code=535), True, True),
        (Outcome(DEFERRED, Stage.MAIL, code=452), True, True),
        (Outcome(US, Stage.MAIL, code=553), True, True),
        (Outcome(DEFERRED, Stage.RCPT, code=421), True, True),
        (Outcome(DEFERRED, Stage.RCPT), True, True),
        (Outcome(DEFERRED, Stage.RCPT, code=451, reply="4.7.1 greylisted"), False, False),
        (Outcome(DEFERRED, Stage.RCPT, code=452, reply="4.3.1 disk full"), True, True),
        (Outcome(US, Stage.RCPT, code=554, reply="5.7.1 relay access denied"), False, True),
        (Outcome(REJECTED, Stage.RCPT, code=550), False, False),
        (Outcome(DEFERRED, Stage.BODY, code=451), False, False),
        (Outcome(DEFERRED, Stage.BODY, ambiguous=True), True, False),
        (Outcome(REJECTED, Stage.BODY, code=554), False, False),
        (smtputf8_missing("main"), False, True),
    ],
)
def test_what_counts_as_a_relays_failure_and_what_asks_the_next(
    outcome: Outcome, relay_failed: bool, next_may_help: bool
) -> None:
    """A recipient's refusal at rcpt or later never counts as the relay's failure, for everybody."""
    assert (outcome.relay_failed, outcome.next_relay_may_help) == (relay_failed, next_may_help)


def test_the_dialogue_goes_on_after_2xx_and_at_data_after_3xx() -> None:
    """A 250 to DATA is no invitation."""
    assert accepted(Stage.MAIL, 250)
    assert accepted(Stage.RCPT, 251)
    assert accepted(Stage.DATA, 354)
    assert not accepted(Stage.DATA, 250)
    assert not accepted(Stage.RCPT, 354)


def test_a_reply_is_kept_short_and_printable() -> None:
    """One line, 200 characters, no control characters, never an exception."""
    assert printable(b"2.0.0 ok\r\nqueued\tas \x1b[31m1\xff") == "2.0.0 ok queued as ?[31m1�"
    assert len(printable(b"x" * 100_000)) == 200
    assert printable("") == ""


@pytest.mark.parametrize(
    ("reply", "status"),
    [("5.1.1 no", "5.1.1"), ("4.7.1", "4.7.1"), ("5.1.1x", ""), ("no 5.1.1", ""), ("", "")],
)
def test_the_enhanced_status_stands_at_the_start(reply: str, status: str) -> None:
    """Anything else is text."""
    assert enhanced_status(reply) == status
