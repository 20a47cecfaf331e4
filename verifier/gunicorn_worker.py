"""gunicorn's worker process as gunicorn.conf.py has it serve: what is done for each connection and each request.

It serves in threads, as gunicorn's own does, and hands a connection over less often: docs/decisions/0038-the-way-of-a-request.md.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

# For so long, in seconds, a thread that has served a request waits for the next one on the same connection.
STAY_S = 0.05
# Threads that wait for the interpreter demand it after so many seconds; nearly always it is free by itself before that.
SWITCH_INTERVAL_S = 0.02


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests in threads, and bears that the listening socket is shut down in a stop."""

    alive: bool
    wsgi: Any

    def init_process(self) -> None:
        """Load the app and serve until the process is told to end."""
        # As plain attributes: gunicorn looks each setting up in a dict of objects, dozens of times for a request.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the app."""
        super().load_wsgi()
        self.wsgi = _with_readable_bodies(self.wsgi)

    def run(self) -> None:
        """Serve until the process is told to end."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # What was loaded stays: it need not be looked through for garbage again and again.
        gc.collect()
        gc.freeze()
        super().run()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; on Linux a listening socket that was shut down answers EINVAL."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.set_accept_enabled(False)

    def is_parent_alive(self) -> bool:
        """Return whether gunicorn's parent is there still; without it this process stops."""
        if super().is_parent_alive():
            return True
        # gunicorn only leaves its loop; who stays with a connection would go on.
        self.alive = False
        return False

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Return threads for as many requests as are set, and as many for connections that a thread stays with."""
        self._places = threading.Semaphore(self.cfg.threads)
        return ThreadPoolExecutor(2 * self.cfg.threads)

    def handle(self, conn: Any) -> Any:
        """Serve a connection until it pauses or ends, and hang up where it ends.

        gunicorn's main thread would hang up, which waits for up to two seconds for the client to do so, too; meanwhile it would
        accept nobody, and in a stop end connections on which the next request has just come.
        """
        goes_on = self._serve(conn)
        if goes_on is False:
            with contextlib.suppress(OSError):
                conn.close(graceful=True)
            conn.close = _is_closed
        return goes_on

    def murder_keepalived(self, force: bool = False) -> None:
        """Hang up on those who have paused for too long by now, but not on who has just gone on."""
        if self.keepalived_conns and self.keepalived_conns[0].timeout <= time.monotonic():
            self.wait_for_and_dispatch_events(0)
        super().murder_keepalived(force)

    def _serve(self, conn: Any) -> Any:
        """Serve a request, and those that come at once behind it: handing a connection over and back costs more than reading it.

        Half of the threads stay nowhere, however busy the connections of the others are.
        """
        goes_on = super().handle(conn)
        if goes_on is not True or not self._places.acquire(blocking=False):
            return goes_on
        try:
            while goes_on is True and self._next_is_there(conn):
                goes_on = super().handle(conn)
            return goes_on
        finally:
            self._places.release()

    def _next_is_there(self, conn: Any) -> bool:
        """Wait for the next request, unless the process stops."""
        # What was read ahead of it no longer shows at the socket; gunicorn looks for that.
        if not self.alive or conn.parser.unreader.buf.getvalue():
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(1000 * STAY_S))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request, and send the answer's head with its body: half the calls, and half the wake-ups of a client."""
        sock = HeadWithBody(conn.sock)
        try:
            return super().handle_request(
                req, SimpleNamespace(sock=sock, client=conn.client, server=conn.server)
            )
        finally:
            sock.flush()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Have `/servez` turn red for whoever has a connection still."""
        # Not at the top: what gunicorn itself imports, a HUP would not load anew.
        from verifier.ops.serving import note_stopping  # noqa: PLC0415

        note_stopping()
        super().handle_exit(sig, frame)


def _is_closed(graceful: bool = False) -> None:
    """Close nothing: the thread that served the connection has."""


class HeadWithBody:
    """A connection's socket for one answer, whose head waits for what comes next on it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._head: bytes | None = None

    def sendall(self, data: bytes) -> None:
        """Send; what is sent first, with what comes next."""
        if self._head is None:
            self._head = data
        else:
            self.flush(data)

    def flush(self, data: bytes = b"") -> None:
        """Send what waits, and this."""
        waiting, self._head = self._head or b"", b""
        if waiting or data:
            self._sock.sendall(waiting + data)

    def __getattr__(self, name: str) -> Any:
        """Return what the socket has, for whoever uses it in another way: then nothing may wait any longer."""
        if self._head:
            self.flush()
        return getattr(self._sock, name)


class ChunkedBody:
    """A body whose chunks can't be read ends, to the app, like that of a client that goes away: it answers 400.

    gunicorn's own error is none that werkzeug knows: 500, with a traceback in the log for whoever sends such a body.
    """

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, *size: int) -> bytes:
        """Read it. Raises OSError."""
        try:
            return bytes(self._body.read(*size))
        except ParseException as error:
            raise OSError(str(error)) from error

    def __getattr__(self, name: str) -> Any:
        """Return whatever else a body has; werkzeug only reads."""
        return getattr(self._body, name)


def _with_readable_bodies(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = ChunkedBody(environ["wsgi.input"])
        return app(environ, start_response)

    return serve
