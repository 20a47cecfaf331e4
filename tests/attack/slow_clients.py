"""Slow and silent clients, and what an ordinary visitor gets meanwhile: gunicorn alone beside gunicorn behind the proxy.

`python -m tests.attack.slow_clients` prints the figures. All of it is on loopback and bounded.
"""

from __future__ import annotations

import http.client
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sentinel import LocalOptions, LocalTopology
from tests.support.proxy import Proxy
from tests.support.web import Web

ANSWER_WITHIN_S = 5.0
# The attackers come from 127.0.0.1.
ANOTHER_CLIENT = "127.0.0.2"
HEADERS = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"POST /v1/verifications HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 8000\r\n\r\n{"


@dataclass(frozen=True)
class Attack:
    """Many connections that each begin something, and then send a byte now and then, or nothing."""

    name: str
    connections: int
    first: bytes
    then: bytes


ATTACKS = (
    Attack("80 with unfinished headers", 80, HEADERS, b"X-A: b\r\n"),
    Attack("300 that say nothing", 300, b"", b""),
    Attack("80 with slow bodies", 80, BODY, b"x"),
)


@dataclass
class Visits:
    """What an ordinary visitor got."""

    waited_s: list[float] = field(default_factory=list)
    unanswered: int = 0

    def __str__(self) -> str:
        """Tell it in a line."""
        asked = len(self.waited_s) + self.unanswered
        slowest = max(self.waited_s, default=float("nan"))
        middle = statistics.median(self.waited_s) if self.waited_s else float("nan")
        return f"{len(self.waited_s):3} of {asked:3} answered, p50 {middle * 1000:5.0f} ms, max {slowest * 1000:5.0f} ms"


class Attackers(AbstractContextManager["Attackers"]):
    """Keep an attack going: whoever is cut off comes again, at most a thousand times in all."""

    MOST_CONNECTIONS = 1000

    def __init__(self, attack: Attack, port: int) -> None:
        self._attack = attack
        self._port = port
        self._left = self.MOST_CONNECTIONS
        self._open: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._fill()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for each in self._open:
            each.close()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self._forget_the_cut_off()
            for each in self._open:
                with suppress(OSError):
                    each.send(self._attack.then)
            self._fill()

    def _fill(self) -> None:
        while len(self._open) < self._attack.connections and self._left:
            self._left -= 1
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=1)
                connection.setblocking(False)
                self._open.append(connection)
                if self._attack.first:
                    connection.send(self._attack.first)

    def _forget_the_cut_off(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self._open:
                selector.register(each, selectors.EVENT_READ)
            readable = [key.fileobj for key, _ in selector.select(0)]
        for each in readable:
            assert isinstance(each, socket.socket)
            with suppress(BlockingIOError):
                if not _bytes_of(each):
                    self._open.remove(each)
                    each.close()


def _bytes_of(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def visit(port: int, duration_s: float) -> Visits:
    """Ask for the first page every quarter of a second, each time with a connection of one's own."""
    visits = Visits()
    ends_at = time.monotonic() + duration_s
    while time.monotonic() < ends_at:
        began_at = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=ANSWER_WITHIN_S, source_address=(ANOTHER_CLIENT, 0)
        )
        try:
            connection.request("GET", "/")
            answered = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            answered = False
        finally:
            connection.close()
        took_s = time.monotonic() - began_at
        if answered:
            visits.waited_s.append(took_s)
        else:
            visits.unanswered += 1
        time.sleep(max(0.0, 0.25 - took_s))
    return visits


@contextmanager
def _service(directory: Path) -> Iterator[tuple[Web, Proxy]]:
    with ExitStack() as stack:
        topology = stack.enter_context(LocalTopology(LocalOptions()))
        web = stack.enter_context(Web(topology, directory, VERIFIER_TRUSTED_PROXIES="1"))
        proxy = stack.enter_context(Proxy(web.port, directory))
        web.wait_until_it_answers()
        proxy.wait_until_it_listens()
        yield web, proxy


def main() -> int:
    """Print what a visitor gets under each attack, for 15 seconds each."""
    with tempfile.TemporaryDirectory() as directory, _service(Path(directory)) as (web, proxy):
        for attack in ATTACKS:
            for name, port in (("gunicorn alone", web.port), ("behind the proxy", proxy.port)):
                with Attackers(attack, port):
                    visits = visit(port, 15)
                print(f"{attack.name:28} {name:18} {visits}", flush=True)
                time.sleep(3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
