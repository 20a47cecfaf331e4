"""A mail server that takes everything, keeps only what the counting needs, and costs next to nothing.

By hand, since it shares two cores with what is measured: aiosmtpd takes several times as much of them for each
mail, and offers no PIPELINING. It speaks just enough SMTP for the systems under test and for smtplib. It can be
told to answer late, and to be away for a while.

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

from sentinel import PortReservation

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


Keep = Callable[[RecordedMail], float]
"""Takes a mail and returns after how many seconds its sender gets the answer."""


class MailSink:
    """Listens on a port of loopback while it is entered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Plan it; the loop runs in another thread."""
        self._loop = loop
        self._ports = PortReservation()  # so that the port stays ours while nobody listens on it
        self._server: asyncio.Server | None = None
        self._sessions: set[_Session] = set()
        self._late_answers_s: list[float] = []
        self.slow_s = 0.0
        """How long each DATA waits for its answer: so much longer a mail is in the sender's hands."""
        self.mails: list[RecordedMail] = []
        self.port = self._ports.reserve().port

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        self._ports.release()

    def go_away(self) -> None:
        """End all sessions and refuse new ones, until `come_back`."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)

    def come_back(self) -> None:
        """Listen again on the same port."""
        listening = listen(self._take, self.port, self._sessions, lambda: self.slow_s)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(timeout=10)

    def answer_late(self, mails: int, after_s: float) -> None:
        """Let the senders of so many of the next mails wait for the answer to their final dot."""
        self._late_answers_s = [after_s] * mails

    def _take(self, mail: RecordedMail) -> float:
        self.mails.append(mail)
        return self._late_answers_s.pop() if self._late_answers_s else 0.0

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.end()


async def listen(
    keep: Keep,
    port: int = 0,
    sessions: set[_Session] | None = None,
    slow_s: Callable[[], float] = lambda: 0.0,
    host: str = "127.0.0.1",
) -> asyncio.Server:
    """Listen, on loopback and on a free port unless others are named, and hand each mail to `keep`.

    `sessions` gets the sessions that are open; `slow_s` is asked how long a DATA waits.
    """
    loop = asyncio.get_running_loop()
    is_open = set() if sessions is None else sessions
    return await loop.create_server(lambda: _Session(keep, is_open, slow_s), host, port, backlog=512)


class _Session(asyncio.Protocol):
    """One client's session: lines in, replies out."""

    def __init__(self, keep: Keep, sessions: set[_Session], slow_s: Callable[[], float]) -> None:
        self._keep = keep
        self._sessions = sessions
        self._slow_s = slow_s
        self._buffer = bytearray()
        self._recipients: list[str] = []
        self._in_data = False
        self._is_waiting = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._sessions.add(self)
        self._reply(b"220 recorder ESMTP")

    def connection_lost(self, _: Exception | None) -> None:
        self._sessions.discard(self)

    def end(self) -> None:
        """Hang up; what was answered already still gets through."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while not self._is_waiting and (self._take_mail() if self._in_data else self._take_line()):
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
        late_s = max((self._keep(_read_mail(bytes(content), each)) for each in self._recipients), default=0.0)
        self._recipients.clear()
        self._reply(b"250 Recorded", late_s)
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
            self._reply(b"354 Go ahead", self._slow_s())
        elif verb == b"QUIT":
            self._reply(b"221 Bye")
            self._transport.close()
        elif verb in {b"HELO", b"MAIL", b"RSET", b"NOOP"}:
            self._recipients.clear()
            self._reply(b"250 OK")
        else:
            self._reply(b"502 Not here")

    def _reply(self, text: bytes, after_s: float = 0.0) -> None:
        if after_s:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(after_s, self._reply_and_go_on, text)
        elif not self._transport.is_closing():
            self._transport.write(text + b"\r\n")

    def _reply_and_go_on(self, text: bytes) -> None:
        self._is_waiting = False
        self._reply(text)
        self._work()


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

        def note(mail: RecordedMail) -> float:
            notes.write(f"{mail.recipient} {mail.at:.6f}\n")
            return 0.0

        server = await listen(note)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
