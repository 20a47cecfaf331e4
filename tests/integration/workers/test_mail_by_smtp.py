"""A rendered mail through another project's SMTP server, as a mailbox would see it."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.integration.workers.certificates import Authority
from verifier.domain.addresses import normalise_address
from workers.mail.mailer import Mailer
from workers.smtp.answers import Kind, Outcome
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relays import Relays


class Mailbox:
    """An aiosmtpd handler that keeps what it gets."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    # The name and the arguments are aiosmtpd's.
    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 2.0.0 kept"


def login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"us", b"secret"), handled=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def relay(mailbox: Mailbox, tmp_path: Path) -> Iterator[RelaySettings]:
    """A server that insists on STARTTLS and a login, signed by a private authority."""
    authority, port = Authority(tmp_path, "ours"), free_port()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        enable_SMTPUTF8=True,
        tls_context=authority.server_context("127.0.0.1"),
        require_starttls=True,
        auth_required=True,
        authenticator=login,
    )
    controller.start()
    yield RelaySettings(
        "main",
        "127.0.0.1",
        port,
        "us",
        "secret",
        security="starttls",
        ca_file=authority.ca_file,
        connect_timeout_s=5.0,
        command_timeout_s=15.0,
    )
    controller.stop()


def send(relay: RelaySettings, to: str, service_name: str = "Café") -> Outcome:
    relays = Relays([relay])
    mailer = Mailer("Café <no-reply@example.org>", service_name)
    outcome = relays.send(mailer.render("v1", to, "042195", expires_in_s=600, now=1_795_356_000))
    relays.close()
    return outcome


def test_a_mail_reaches_the_mailbox_over_tls_with_a_login(relay: RelaySettings, mailbox: Mailbox) -> None:
    """Subject, sender and both bodies are there to be read."""
    outcome = send(relay, "someone@example.com")
    assert (outcome.kind, outcome.reply) == (Kind.SENT, "2.0.0 kept")
    (envelope,) = mailbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@example.org", ["someone@example.com"])
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Subject"] == "042195 is your Café code"
    assert message["Message-ID"] == "<v1@example.org>"
    assert "    042195" in message.get_body(("plain",)).get_content().splitlines()
    assert "042195" in message.get_body(("html",)).get_content().splitlines()


def test_an_internationalised_address_is_reached_with_smtputf8(
    relay: RelaySettings, mailbox: Mailbox
) -> None:
    """The server, not only our double of one, accepts the envelope."""
    assert send(relay, "jürgen@bücher.example").kind is Kind.SENT
    (envelope,) = mailbox.envelopes
    assert envelope.smtp_utf8
    assert envelope.rcpt_tos == ["jürgen@xn--bcher-kva.example"]


def test_an_internationalised_domain_under_test_is_reached(relay: RelaySettings, mailbox: Mailbox) -> None:
    """From what is typed into the form to the mailbox."""
    assert send(relay, normalise_address("ada@BÜCHER.test", for_tests=True)).kind is Kind.SENT
    (envelope,) = mailbox.envelopes
    assert envelope.rcpt_tos == ["ada@xn--bcher-kva.test"]


def test_a_wrong_password_is_our_fault(relay: RelaySettings, mailbox: Mailbox) -> None:
    """Nothing arrives, and the person is not blamed."""
    outcome = send(replace(relay, password="wrong"), "someone@example.com")
    assert (outcome.kind, outcome.code) == (Kind.RELAY_REFUSES_US, 535)
    assert mailbox.envelopes == []
