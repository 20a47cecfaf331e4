"""A relay that keeps every mail: aiosmtpd in a thread, on a port that the system chooses."""

from __future__ import annotations

import asyncio
import email
import logging
import socket
import time
from collections.abc import Awaitable
from email.message import EmailMessage
from email.policy import default as modern_policy
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from sentinel import wait_for


class MailSink:
    """A context manager; `replies` are said to the next mails in place of a yes, `delay_s` before each answer."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.mails: list[EmailMessage] = []
        self.replies: list[str] = []
        self.delay_s = 0.0
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        self._controller = _Controller(self, self._socket, self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail, or say what was ordered."""
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
        """Give the mails to an address."""
        return [mail for mail in self.mails if mail["To"] == address]

    def wait_for_mail(self, address: str, timeout: float = 15) -> EmailMessage:
        """Wait until there is a mail to the address; give the newest."""
        assert wait_for(lambda: bool(self.sent_to(address)), timeout), f"no mail to {address} in {timeout} s"
        return self.sent_to(address)[-1]

    def stays_at(self, how_many: int, for_s: float) -> bool:
        """Tell whether there are so many mails, and no other comes for a while."""
        until = time.monotonic() + for_s
        return (
            not wait_for(lambda: len(self.mails) != how_many or time.monotonic() > until, for_s + 5)
            or len(self.mails) == how_many
        )


class _Controller(Controller):
    def __init__(self, sink: MailSink, listener: socket.socket, port: int) -> None:
        self._listener = listener
        super().__init__(sink, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, ready_timeout=15)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        factory: Any = self._factory_invoker
        created: Awaitable[asyncio.AbstractServer] = self.loop.create_server(factory, sock=self._listener)
        return created
