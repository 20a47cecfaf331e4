"""How a worker process of gunicorn's serves connections: which thread, for how long, and how many at once."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, Self

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn, ThreadWorker

from sentinel import wait_for
from verifier import gunicorn_worker
from verifier.gunicorn_worker import Worker

THREADS = 2
WITHIN_S = 60.0
REQUEST = b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Served:
    """A worker whose app answers with the path and the thread that serves, and connections to it."""

    def __init__(self) -> None:
        settings = Config()
        settings.set("threads", THREADS)
        self.worker: Any = Worker(0, 0, [], SimpleNamespace(), 30, settings, logging.getLogger("test"))
        self.worker.log.access = lambda *_: None
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.wsgi = self._answer
        self._opened = ExitStack()
        self.taking_s = 0.0
        """For how long a request is served, in seconds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        self.worker.tpool.shutdown()
        self.worker.tmp.close()

    def connect(self) -> tuple[socket.socket, TConn]:
        """Return both ends of a connection."""
        ours, theirs = (self._opened.enter_context(each) for each in socket.socketpair())
        ours.settimeout(WITHIN_S)
        return ours, TConn(self.worker.cfg, theirs, ("127.0.0.1", 1), ("127.0.0.1", 2))

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Serve as in a process of its own, on a port that is returned, until it is told to stop."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.worker.sockets, self.worker.ppid = [listener], os.getppid()
            self.worker.poller = selectors.DefaultSelector()
            self.worker.method_queue.init()
            # Without what our own does to the whole process.
            serving = threading.Thread(target=ThreadWorker.run, args=(self.worker,))
            serving.start()
            try:
                yield listener.getsockname()[1]
            finally:
                self.worker.alive = False
                serving.join(WITHIN_S)
                assert not serving.is_alive()

    def hand_over(self, connection: TConn) -> Future[Any]:
        """Have a thread of the pool serve a connection on which a request waits."""
        served: Future[Any] = self.worker.tpool.submit(self.worker.handle, connection)
        return served

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Others go on meanwhile.
        time.sleep(self.taking_s)
        body = f"{environ['PATH_INFO']} {threading.get_ident()}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def served() -> Iterator[Served]:
    """A worker of two threads."""
    with Served() as worker:
        yield worker


def _ask(client: socket.socket, number: int) -> str:
    """Ask for a number, and return which thread answered."""
    client.sendall(REQUEST % number)
    return _read(client, number)


def _read(client: socket.socket, number: int) -> str:
    head, _, body = client.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    path, thread = body.decode().split()
    assert path == f"/{number}"
    return thread


def test_a_client_that_goes_on_is_served_by_the_same_thread(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is handed over between its requests; when it is gone the thread is free."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    client, connection = served.connect()
    client.sendall(REQUEST % 0)
    going = served.hand_over(connection)
    threads = {_read(client, 0), *(_ask(client, number) for number in range(1, 20))}
    assert len(threads) == 1
    assert not going.done()
    client.close()
    assert going.result(WITHIN_S) is False


def test_a_client_that_pauses_gives_its_thread_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is kept, and goes on when the client does."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", 0.001)
    client, connection = served.connect()
    for number in range(3):
        client.sendall(REQUEST % number)
        assert served.hand_over(connection).result(WITHIN_S) is True
        _read(client, number)


def test_threads_that_wait_keep_none_from_being_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many wait as are set; there are as many more, which stay with nobody."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    waiting = []
    for number in range(THREADS):
        client, connection = served.connect()
        client.sendall(REQUEST % number)
        waiting.append((client, served.hand_over(connection)))
        _read(client, number)
    for number in range(3 * THREADS):
        client, connection = served.connect()
        client.sendall(REQUEST % number)
        assert served.hand_over(connection).result(WITHIN_S) is True
        _read(client, number)
    for client, served_by in waiting:
        assert not served_by.done()
        client.close()
        assert served_by.result(WITHIN_S) is False


def test_clients_that_never_pause_keep_none_from_being_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though serving takes longer than they do, and there are more of them than threads."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    served.taking_s = 0.05
    stop = threading.Event()
    answered = Counter[int]()

    def go_on(name: int, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), WITHIN_S) as client:
            while not stop.is_set():
                _ask(client, name)
                answered[name] += 1

    with served.listening() as port:
        clients = [threading.Thread(target=go_on, args=(name, port)) for name in range(5 * THREADS)]
        for each in clients:
            each.start()
        try:
            assert wait_for(lambda: max(answered.values(), default=0) >= 60, WITHIN_S)
            least = min(answered[name] for name in range(len(clients)))
        finally:
            stop.set()
            for each in clients:
                each.join(WITHIN_S)
    assert least > 3, answered


def test_a_worker_without_its_parent_stops_although_a_client_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, the parent tells nobody anything; the worker sees that it has another one."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    with served.listening() as port, socket.create_connection(("127.0.0.1", port), WITHIN_S) as client:
        _ask(client, 0)
        served.worker.ppid = -1
        answers = [b""]

        def is_told_to_go() -> bool:
            client.sendall(REQUEST % 1)
            answers.append(client.recv(65536).lower())
            return b"connection: close" in answers[-1]

        assert wait_for(is_told_to_go, WITHIN_S), answers[-1]


def test_a_client_that_does_not_hang_up_keeps_nobody_waiting(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose connection ends is waited for, so that it gets all of its answer; not by who accepts the others."""
    hangs_up = threading.Event()
    hung_up = []

    def close_gracefully(sock: socket.socket) -> None:
        hung_up.append(hangs_up.wait(WITHIN_S))
        sock.close()

    monkeypatch.setattr("gunicorn.util.close_graceful", close_gracefully)
    with served.listening() as port, ExitStack() as connected:
        connected.callback(hangs_up.set)
        for number in range(THREADS):
            client = connected.enter_context(socket.create_connection(("127.0.0.1", port), WITHIN_S))
            client.sendall((REQUEST % number).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            _read(client, number)
        with socket.create_connection(("127.0.0.1", port), WITHIN_S) as other:
            for number in range(5):
                _ask(other, number)
                assert not hung_up
        hangs_up.set()
        assert wait_for(lambda: served.worker.nr_conns == 0, WITHIN_S)
        assert hung_up == [True] * (THREADS + 1)


def test_a_request_that_comes_as_a_connection_is_given_up_is_served(served: Served) -> None:
    """The main thread may have stood still for longer than connections are kept."""
    served.worker.poller = selectors.DefaultSelector()
    served.worker.method_queue.init()
    client, connection = served.connect()
    client.sendall(REQUEST % 0)
    connection.init()
    connection.timeout = time.monotonic() - 1
    served.worker.keepalived_conns.append(connection)
    served.worker.poller.register(
        connection.sock, selectors.EVENT_READ, partial(served.worker.on_client_socket_readable, connection)
    )
    served.worker.murder_keepalived()
    _read(client, 0)


def test_what_was_read_ahead_is_left_to_gunicorn(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests at once: nothing more will show at the socket, so nobody may wait there."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    client, connection = served.connect()
    client.sendall(REQUEST % 1 + REQUEST % 2)
    assert served.hand_over(connection).result(WITHIN_S) is True
    _read(client, 1)
    assert connection.parser.unreader.buf.getvalue() == REQUEST % 2


def test_a_worker_that_stops_stays_with_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says that the connection ends."""
    monkeypatch.setattr(gunicorn_worker, "STAY_S", WITHIN_S)
    served.worker.alive = False
    client, connection = served.connect()
    client.sendall(REQUEST % 1)
    assert served.hand_over(connection).result(WITHIN_S) is False
    assert b"connection: close" in client.recv(65536).lower()
