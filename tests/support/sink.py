"""A relay that keeps every mail: the development mail server with a handler for tests."""

from __future__ import annotations

import asyncio
import email
import time
from email.message import EmailMessage
from email.policy import default as modern_policy
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from sentinel import wait_for
from verifier.dev.mail_server import MailServer


class MailSink:
    """A context manager; the next mails get `replies` in place of a 250, `delay_s` before each answer."""

    def __init__(self, port: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.replies: list[str] = []
        self.delay_s = 0.0
        self._server = MailServer(self, port)
        self.port = self._server.port

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail, or return the reply that was ordered."""
        await asyncio.sleep(self.delay_s)
        if self.replies:
            return self.replies.pop(0)
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        message = email.message_from_bytes(raw, policy=modern_policy)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        return "250 2.0.0 kept"

    def sent_to(self, address: str) -> list[EmailMessage]:
        """Return the mails to an address."""
        return [mail for mail in self.mails if mail["To"] == address]

    def wait_for_mail(self, address: str, timeout_s: float = 60) -> EmailMessage:
        """Wait until there is a mail to the address; return the newest."""
        assert wait_for(lambda: bool(self.sent_to(address)), timeout_s), (
            f"no mail to {address} in {timeout_s} s"
        )
        return self.sent_to(address)[-1]

    def stays_at(self, how_many: int, for_s: float) -> bool:
        """Return whether there are so many mails, and no other comes for a while."""
        until = time.monotonic() + for_s
        return (
            not wait_for(lambda: len(self.mails) != how_many or time.monotonic() > until, for_s + 5)
            or len(self.mails) == how_many
        )
