"""A closed HTTP load: `python closed_load.py PORT CONNECTIONS SECONDS`.

A process of its own, so that it has an interpreter to itself. Each connection is kept alive and posts a
verification as soon as the one before was answered; the addresses are numbered. By hand, since it shares two
cores with the web that it measures: as little as possible is read of the answers, and what a client library
does for each request would be missing there. Prints JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

_BODY = b'{"to": "user%08d@example.org"}'
_HEAD = (
    b"POST /v1/verifications HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_BODY % 0)
)


class ClosedLoad:
    """All connections of one run."""

    def __init__(self, port: int, connections: int, seconds: float) -> None:
        self._port = port
        self._connections = connections
        self._ends_at = time.perf_counter() + seconds
        self._selector = selectors.EpollSelector()
        self._began: dict[socket.socket, float] = {}
        self._unread: dict[socket.socket, bytes] = {}
        self._sent = 0
        self.taken_s: list[float] = []
        self.refused: dict[str, int] = {}
        self.reconnects = 0

    def run(self) -> None:
        """Post until the time is up."""
        for _ in range(self._connections):
            self._connect()
        while (left_s := self._ends_at - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left_s):
                assert isinstance(key.fileobj, socket.socket)
                self._read(key.fileobj)
        for sock in self._began:
            sock.close()

    def _connect(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self._port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(sock, selectors.EVENT_READ)
        self._post(sock)

    def _post(self, sock: socket.socket) -> None:
        self._unread[sock] = b""
        self._began[sock] = time.perf_counter()
        sock.sendall(_HEAD + _BODY % self._sent)
        self._sent += 1

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._connect_again(sock)
            return
        answer = self._unread[sock] + data
        if not _is_whole(answer):
            self._unread[sock] = answer
            return
        self._note(answer[9:12].decode(), time.perf_counter() - self._began[sock])
        if b"\r\nconnection: close\r\n" in answer[:400].lower():
            self._connect_again(sock)
        else:
            self._post(sock)

    def _note(self, status: str, taken_s: float) -> None:
        if status == "201":
            self.taken_s.append(taken_s)
        else:
            self.refused[status] = self.refused.get(status, 0) + 1

    def _connect_again(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()
        del self._began[sock], self._unread[sock]
        self.reconnects += 1
        self._connect()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    return len(body) >= int(length or 0)


def main() -> None:
    """Run it and print the figures."""
    seconds = float(sys.argv[3])
    load = ClosedLoad(int(sys.argv[1]), int(sys.argv[2]), seconds)
    began = time.perf_counter()
    load.run()
    taken = sorted(load.taken_s)
    print(
        json.dumps(
            {
                "rate": len(taken) / (time.perf_counter() - began),
                "p50_ms": 1000 * taken[len(taken) // 2] if taken else None,
                "p99_ms": 1000 * taken[len(taken) * 99 // 100] if taken else None,
                "refused": load.refused,
                "reconnects": load.reconnects,
            }
        )
    )


if __name__ == "__main__":
    main()
