"""Counting who knocks at a dead server's door.

A refused connection leaves no trace, so a listener takes the dead server's place: it accepts, finds out in
/proc whose socket is at the other end, and closes. Whoever knocks fails as fast as before.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sentinel import Endpoint


class ConnectionAttempts:
    """Listens on the endpoints of servers that are down while it is entered."""

    def __init__(self, endpoints: Iterable[Endpoint], processes: Callable[[], dict[str, int]]) -> None:
        """Count for the named processes; all others go by the name `others`."""
        self.counts: Counter[tuple[str, Endpoint]] = Counter()
        self._endpoints = tuple(endpoints)
        self._processes = processes
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="drill-attempts", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        for endpoint in self._endpoints:
            listener = socket.create_server(endpoint)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, endpoint)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the ports back."""
        self._stopping = True
        self._thread.join(timeout=5)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type checker
            key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(timeout=0.2):
                assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type checker
                self._take(key.fileobj, key.data)

    def _take(self, listener: socket.socket, endpoint: Endpoint) -> None:
        """Take all who knock at this moment: looking them up one by one would keep the last ones waiting."""
        with ExitStack() as knocking:
            ports = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection, (_, port) = listener.accept()
                    knocking.enter_context(connection)
                    ports.append(port)
            self.counts.update(
                (owner, endpoint) for owner in _owners(ports, endpoint.port, self._processes())
            )


def _owners(ports: Sequence[int], peer_port: int, processes: dict[str, int]) -> list[str]:
    """Find whose sockets have these ports at their own end."""
    inodes = _inodes(peer_port)
    owners = {inode: name for name, pid in processes.items() for inode in _sockets(pid)}
    return [owners.get(inodes.get(port, ""), "others") for port in ports]


def _inodes(peer_port: int) -> dict[int, str]:
    """Give, by its own port, each socket that has this port at its other end."""
    other = f":{peer_port:04X}"
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(other):
            found[int(fields[1].rpartition(":")[2], 16)] = fields[9]
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                name = str(entry.readlink())
                if name.startswith("socket:["):
                    found.add(name[len("socket:[") : -1])
    return found
