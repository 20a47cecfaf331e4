"""Small servers that speak Redis's protocol on loopback: sentinels and nodes that do as they are told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sentinel import Endpoint


@dataclass(frozen=True)
class Refusal:
    """An error answer."""

    text: str


@dataclass(frozen=True)
class Raw:
    """Bytes that are sent as they are."""

    data: bytes


@dataclass(frozen=True)
class Hang:
    """No answer; the connection stays open."""


@dataclass(frozen=True)
class HangUp:
    """The connection is closed instead of an answer."""


Answer = Callable[[list[str]], Any]


def encode(reply: Any) -> bytes:
    """Write a reply in RESP 2."""
    match reply:
        case Raw(data):
            written = data
        case Refusal(text):
            written = f"-{text}\r\n".encode()
        case None:
            written = b"$-1\r\n"
        case int():
            written = f":{reply}\r\n".encode()
        case str() if reply in {"OK", "PONG", "QUEUED"}:
            written = f"+{reply}\r\n".encode()
        case str():
            data = reply.encode()
            written = b"$%d\r\n%s\r\n" % (len(data), data)
        case _:
            written = b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
    return written


class FakeServer:
    """A context manager; `answers` gives the reply to the words of a command."""

    def __init__(self, answers: Answer | None = None) -> None:
        self.answers = answers or (lambda _: "OK")
        self.commands: list[list[str]] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._subscribers: dict[socket.socket, set[str]] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._close(self._listener)
        self.hang_up_on_all()
        for thread in self._threads:
            thread.join(30)

    def asked(self, *words: str) -> int:
        """Return how often a command that begins with these words came."""
        with self._lock:
            return sum(command[: len(words)] == list(words) for command in self.commands)

    def hang_up_on_all(self) -> None:
        """Close every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            self._close(each)

    def stop_listening(self) -> None:
        """Refuse new connections from now on, and close the others."""
        self._close(self._listener)
        self.hang_up_on_all()

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        with self._lock:
            return len(self._sockets)

    def subscribed_to(self, channel: str) -> int:
        """Return how many connections listen to a channel."""
        with self._lock:
            return sum(channel in channels for channels in self._subscribers.values())

    def publish(self, channel: str, text: str) -> None:
        """Send it to all who listen."""
        with self._lock:
            listeners = [each for each, channels in self._subscribers.items() if channel in channels]
        for each in listeners:
            with contextlib.suppress(OSError):
                each.sendall(encode(["message", channel, text]))

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._sockets.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as stream:
            while words := _read_command(stream):
                with self._lock:
                    self.commands.append(words)
                reply = self._reply(connection, words)
                if isinstance(reply, HangUp):
                    break
                if not isinstance(reply, Hang):
                    connection.sendall(encode(reply))
        with self._lock:
            self._subscribers.pop(connection, None)
            if connection in self._sockets:
                self._sockets.remove(connection)
        self._close(connection)

    def _reply(self, connection: socket.socket, words: list[str]) -> Any:
        if words[0].upper() == "SUBSCRIBE":
            reply = self.answers(words)
            if isinstance(reply, Refusal | Hang | HangUp | Raw):
                return reply
            with self._lock:
                self._subscribers.setdefault(connection, set()).update(words[1:])
            return ["subscribe", words[1], 1]
        return self.answers(words)

    @staticmethod
    def _close(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _read_command(stream: Any) -> list[str]:
    head = stream.readline()
    if not head.startswith(b"*"):
        return []
    words = []
    for _ in range(int(head[1:])):
        size = int(stream.readline()[1:])
        words.append(stream.read(size + 2)[:-2].decode("utf-8", "replace"))
    return words


class FakeSentinel(FakeServer):
    """Names a master, and knows its peers; `instead` is what it answers to everything where it is set."""

    def __init__(self, master: Endpoint | None, *, name: str = "mymaster", epoch: int = 1) -> None:
        super().__init__(self._answer)
        self.master = master
        self.name = name
        self.epoch = epoch
        self.peers: Sequence[Endpoint] = ()
        self.replicas: Sequence[Endpoint] = ()
        self.instead: Any = ...

    def _answer(self, words: list[str]) -> Any:
        if self.instead is not ...:
            return self.instead
        if words[0].upper() != "SENTINEL":
            return "PONG" if words[0].upper() == "PING" else "OK"
        question = words[1].upper()
        known = words[2] == self.name
        if question == "GET-MASTER-ADDR-BY-NAME":
            return [self.master.host, str(self.master.port)] if known and self.master else None
        if not known:
            return Refusal("ERR No such master with that name")
        if question in {"SENTINELS", "SLAVES"}:
            listed = self.peers if question == "SENTINELS" else self.replicas
            return [["ip", each.host, "port", str(each.port), "flags", "up"] for each in listed]
        return ["name", self.name, "config-epoch", str(self.epoch)] if question == "MASTER" else []


class FakeNode(FakeServer):
    """A data node with a role; `said` maps the first word of a command to its reply."""

    def __init__(self, role: str = "master", follows: Endpoint | None = None) -> None:
        super().__init__(self._answer)
        self.role = role
        self.follows = follows or Endpoint("127.0.0.1", 1)
        self.said: dict[str, Any] = {}

    def _answer(self, words: list[str]) -> Any:
        word = words[0].upper()
        if word in self.said:
            reply = self.said[word]
            return reply(words) if callable(reply) else reply
        if word == "ROLE":
            if self.role == "master":
                return ["master", 0, []]
            return [self.role, self.follows.host, self.follows.port, "connected", 0]
        return "PONG" if word == "PING" else "OK"
