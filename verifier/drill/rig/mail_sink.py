"""A mail server that takes everything, keeps only what the counting needs, and costs next to nothing.

By hand, since it shares two cores with what is measured: aiosmtpd takes several times as much of them for each
mail, and offers no PIPELINING. It speaks just enough SMTP for the systems under test and for smtplib.

The drill runs it in a thread; `python -m verifier.drill.rig.mail_sink FILE` is a process of its own, which
prints its port, and writes a line for each mail: the recipient, and the time of the system's monotonic clock,
which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from verifier.drill.rig.loop_thread import LoopThread

END_OF_MAIL = b"\r\n.\r\n"
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_CODE = re.compile(rb"^subject:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_ANGLED = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True, slots=True)
class RecordedMail:
    """One mail as it was handed over; `at` in monotonic seconds."""

    at: float
    recipient: str
    message_id: str
    code: str


class MailSink:
    """Listens on a free port of loopback while it is entered."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._server: asyncio.Server | None = None
        self.mails: list[RecordedMail] = []
        self.port = 0

    def __enter__(self) -> Self:
        """Listen."""
        self._server = self._loop.start(listen(self.mails.append)).result(timeout=10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        if self._server is not None:
            self._loop.loop.call_soon_threadsafe(self._server.close)


async def listen(keep: Callable[[RecordedMail], object]) -> asyncio.Server:
    """Listen on a free port of loopback and hand each mail to `keep`."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Session(keep), "127.0.0.1", 0, backlog=512)


class _Session(asyncio.Protocol):
    """One client's session: lines in, replies out."""

    def __init__(self, keep: Callable[[RecordedMail], object]) -> None:
        self._keep = keep
        self._buffer = bytearray()
        self._recipients: list[str] = []
        self._in_data = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._reply(b"220 recorder ESMTP")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_mail() if self._in_data else self._take_line():
            pass

    def _take_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self._obey(bytes(line))
        return True

    def _take_mail(self) -> bool:
        # The dot may come right after DATA's own line end, in an empty mail.
        content, end, rest = self._buffer.partition(END_OF_MAIL)
        if not end:
            return False
        self._buffer, self._in_data = rest, False
        for recipient in self._recipients:
            self._keep(_read_mail(bytes(content), recipient))
        self._recipients.clear()
        self._reply(b"250 Recorded")
        return True

    def _obey(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"EHLO":
            self._reply(b"250-recorder\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
        elif verb == b"RCPT":
            self._recipients.append(_address(line))
            self._reply(b"250 OK")
        elif verb == b"DATA":
            self._in_data = True
            self._reply(b"354 Go ahead")
        elif verb == b"QUIT":
            self._reply(b"221 Bye")
            self._transport.close()
        elif verb in {b"HELO", b"MAIL", b"RSET", b"NOOP"}:
            self._recipients.clear()
            self._reply(b"250 OK")
        else:
            self._reply(b"502 Not here")

    def _reply(self, text: bytes) -> None:
        self._transport.write(text + b"\r\n")


def _address(line: bytes) -> str:
    found = _ANGLED.search(line)
    return found[1].decode(errors="replace") if found else ""


def _read_mail(content: bytes, recipient: str) -> RecordedMail:
    head = content.partition(b"\r\n\r\n")[0]
    message_id, code = _MESSAGE_ID.search(head), _CODE.search(head)
    return RecordedMail(
        time.monotonic(),
        recipient,
        message_id[1].decode(errors="replace") if message_id else "",
        code[1].decode() if code else "",
    )


async def _serve(path: Path) -> None:
    with path.open("w", buffering=1) as notes:
        server = await listen(lambda mail: notes.write(f"{mail.recipient} {mail.at:.6f}\n"))
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
