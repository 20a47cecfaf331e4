"""Counting who tries to connect with a dead server.

A refused connection leaves no trace, so a listener takes the dead server's place: it accepts, finds out whose
socket is at the other end, and closes. Whoever tries fails as fast as before.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Self

import psutil

from sentinel import Endpoint


class ConnectionAttempts:
    """Listens on the endpoints of servers that are down while it is entered."""

    def __init__(self, endpoints: Iterable[Endpoint], processes: Callable[[], dict[str, int]]) -> None:
        """Count for the named processes; all others go by the name `others`."""
        self.counts: Counter[tuple[str, Endpoint]] = Counter()
        self._endpoints = tuple(endpoints)
        self._processes = processes
        self._open = ExitStack()
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="drill-attempts", daemon=True)

    def __enter__(self) -> Self:
        for endpoint in self._endpoints:
            listener = self._open.enter_context(socket.create_server(endpoint))
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, (listener, endpoint))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join(timeout=5)
        self._open.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(timeout=0.2):
                self._take(*key.data)

    def _take(self, listener: socket.socket, endpoint: Endpoint) -> None:
        """Take all who connect at this moment: looking them up one by one would keep the last ones waiting."""
        with ExitStack() as connected:
            ports = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection, (_, port) = listener.accept()
                    connected.enter_context(connection)
                    ports.append(port)
            owners = _owners(self._processes())
            self.counts.update((owners.get(port, "others"), endpoint) for port in ports)


def _owners(processes: dict[str, int]) -> dict[int, str]:
    """Return, by the port at its own end, whose each connection is."""
    found = {}
    for name, pid in processes.items():
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp4")
            found.update({each.laddr.port: name for each in connections if each.laddr})
    return found
