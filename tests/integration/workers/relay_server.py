"""A relay on loopback that behaves as badly as it is told to.

`FakeRelay` speaks SMTP over real sockets. For each step of the dialogue ("banner", "ehlo", "starttls",
"auth", "mail", "rcpt", "data", "dot", "rset", "noop", "quit") it follows a script: a list of actions,
one for each time the step comes up, and the usual polite answer once the list is used up.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

EVERYTHING = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000")

POLITE = {
    "banner": "220 relay.test ESMTP",
    "starttls": "220 go ahead",
    "auth": "235 2.7.0 welcome",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go ahead",
    "dot": "250 2.0.0 queued as 4FAKE",
    "rset": "250 ok",
    "noop": "250 ok",
    "quit": "221 bye",
}


@dataclass(frozen=True)
class Say:
    """Answer with this text; `close` hangs up right after it."""

    text: str
    close: bool = False


@dataclass(frozen=True)
class Slowly:
    """Answer, one byte every `byte_s` seconds."""

    text: str
    byte_s: float


@dataclass(frozen=True)
class Hang:
    """Say nothing until the relay is stopped."""


@dataclass(frozen=True)
class Drop:
    """Hang up without a word; `keep` takes the mail first (at the dot)."""

    keep: bool = False


@dataclass(frozen=True)
class Babble:
    """Begin a reply and never end it."""


Action = Say | Slowly | Hang | Drop | Babble


@dataclass
class Received:
    """A mail the relay took."""

    mail_from: bytes
    rcpt_to: bytes
    payload: bytes


class _HangUp(Exception):
    """The session ends here."""


@dataclass
class FakeRelay:
    """A context manager: listens on entry, and has closed everything on exit."""

    script: Mapping[str, Iterable[Action]] = field(default_factory=dict)
    offers: Sequence[str] = EVERYTHING
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    reply_delay_s: float = 0.0
    most_sessions: int = 1000

    def __post_init__(self) -> None:
        """Bind, so that the port is known; `with` starts to accept."""
        self.steps: dict[str, list[Action]] = {step: list(actions) for step, actions in self.script.items()}
        self.mails: list[Received] = []
        self.counts: dict[str, int] = defaultdict(int)
        self.active = 0
        self.turns = 0  # how often a session had to wait for the client
        self.overheard = b""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        """Accept from now on."""
        self._run(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and wait for every session to end."""
        self._stopping.set()
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def take(self, step: str) -> Action | None:
        """The scripted action for this time the step comes up, if there is one."""
        with self._lock:
            self.counts[step] += 1
            actions = self.steps.get(step)
            return actions.pop(0) if actions else None

    def _run(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self._run(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, _HangUp, ValueError):
            if self.tls and self.implicit_tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            with self._lock:
                self.active += 1
            try:
                _Session(self, sock, self._stopping).serve()
            finally:
                with self._lock:
                    self.active -= 1
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


class _Session:
    """One client."""

    def __init__(self, relay: FakeRelay, sock: socket.socket, stopping: threading.Event) -> None:
        self.relay, self.sock, self.stopping = relay, sock, stopping
        self.unread = b""
        self.secured = relay.implicit_tls
        self.mail_from = self.rcpt_to = b""

    def serve(self) -> None:
        self.relay.counts["session"] += 1
        if self.relay.active > self.relay.most_sessions:
            self.act(Say("421 4.7.0 too many connections", close=True))
        self.answer("banner")
        while line := self.line():
            self.command(line)

    def command(self, line: bytes) -> None:
        verb = line[:4].upper().decode("ascii", "replace")
        match verb:
            case "EHLO" | "HELO":
                self.answer("ehlo", self.greeting())
            case "STAR":
                self.answer("starttls")
                self.secure()
            case "AUTH":
                self.answer("auth")
            case "MAIL":
                self.mail_from = line if self.answer("mail") else b""
            case "RCPT":
                polite = POLITE["rcpt"] if self.mail_from else "503 5.5.1 MAIL first"
                self.rcpt_to = line if self.answer("rcpt", polite) else b""
            case "DATA":
                self.data()
            case "RSET" | "NOOP":
                self.mail_from = self.rcpt_to = b""
                self.answer(verb.lower())
            case "QUIT":
                self.answer("quit")
                raise _HangUp
            case _:
                self.say("500 5.5.2 what?")

    def data(self) -> None:
        ready = self.mail_from and self.rcpt_to
        if not self.answer("data", POLITE["data"] if ready else "503 5.5.1 RCPT first"):
            return
        lines = []
        while (line := self.line()) != b".\r\n":
            if not line:
                raise _HangUp
            lines.append(line.removeprefix(b"."))
        action = self.relay.take("dot")
        received = Received(self.mail_from, self.rcpt_to, b"".join(lines))
        self.mail_from = self.rcpt_to = b""
        if (isinstance(action, Drop) and action.keep) or (ready and takes(action)):
            self.relay.mails.append(received)
        self.act(action or Say(POLITE["dot"] if ready else "554 5.5.1 no valid recipients"))

    def greeting(self) -> str:
        offers = list(self.relay.offers)
        if self.relay.tls and not self.secured:
            offers.append("STARTTLS")
        lines = ["relay.test", *offers]
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    def secure(self) -> None:
        assert self.relay.tls is not None
        self.sock = self.relay.tls.wrap_socket(self.sock, server_side=True)
        self.relay._sockets.append(self.sock)
        self.unread, self.secured = b"", True

    def answer(self, step: str, polite: str = "") -> bool:
        """Act out the step; whether it was a yes."""
        action = self.relay.take(step) or Say(polite or POLITE[step])
        self.act(action)
        return takes(action)

    def act(self, action: Action) -> None:
        match action:
            case Say(text, close):
                self.say(text)
                if close:
                    raise _HangUp
            case Slowly(text, byte_s):
                for byte in f"{text}\r\n".encode():
                    self.sock.sendall(bytes([byte]))
                    if self.stopping.wait(byte_s):
                        raise _HangUp
            case Babble():
                while not self.stopping.wait(0.001):
                    self.sock.sendall(b"250-and another thing\r\n")
            case Hang():
                self.stopping.wait()
                raise _HangUp
            case Drop():
                raise _HangUp

    def say(self, text: str) -> None:
        if self.relay.reply_delay_s:
            time.sleep(self.relay.reply_delay_s)
        self.sock.sendall(f"{text}\r\n".encode())

    def line(self) -> bytes:
        while b"\n" not in self.unread:
            self.relay.turns += 1
            more = self.sock.recv(65536)
            if not more:
                return b""
            self.relay.overheard += more
            self.unread += more
        line, end, self.unread = self.unread.partition(b"\n")
        return line + end


def takes(action: Action | None) -> bool:
    """Whether the action is a yes."""
    text = action.text if isinstance(action, Say | Slowly) else "" if action else "250"
    return text[:1] in ("2", "3")
