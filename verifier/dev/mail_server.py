"""The development mail server: takes every mail on a free port of loopback.

What happens to a mail is up to the handler; the one of `flask run` keeps the newest in a Maildir.
"""

from __future__ import annotations

import asyncio
import logging
import mailbox
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from verifier.dev.maildir import MOST_MAILS, arrival

_PRUNE_EVERY = 100
# Beside the Maildir: where the server listens, as host:port.
ADDRESS_FILE = "address"


class MaildirHandler:
    """Stores mails as they came; the oldest are removed when there are too many."""

    def __init__(self, directory: Path) -> None:
        """Make the Maildir where there is none."""
        self._maildir = mailbox.Maildir(directory)
        self._since_pruned = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's name and signature
        """Store one mail, and return the reply to the client."""
        content = envelope.content
        self._maildir.add(content if isinstance(content, bytes) else str(content).encode())
        self._since_pruned += 1
        if self._since_pruned >= _PRUNE_EVERY:
            self._since_pruned = 0
            self._prune()
        return "250 Kept in the development mailbox"

    def _prune(self) -> None:
        for key in sorted(self._maildir.keys(), key=arrival)[:-MOST_MAILS]:
            self._maildir.discard(key)


class MailServer(Controller):
    """aiosmtpd in a thread of its own, on a port that the system chooses."""

    port: int

    def __init__(self, handler: object, port: int = 0) -> None:
        """Bind the port, or any free one; mails go to the handler's `handle_DATA` after `start`."""
        self._socket = socket.create_server(("127.0.0.1", port))
        # Its lines would hold addresses and commands of every mail.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        port = self._socket.getsockname()[1]
        super().__init__(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True, ready_timeout=15)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        factory: Any = self._factory_invoker
        created: Awaitable[asyncio.AbstractServer] = self.loop.create_server(factory, sock=self._socket)
        return created
