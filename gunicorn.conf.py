"""gunicorn's settings for the web app; any of them can be overridden on its command line.

Six things are added to what gunicorn does, each tried by tests/integration/deploy/test_gunicorn.py: a worker process that
cannot boot does not end a service that runs, a HUP with wrong settings changes nothing, a TERM refuses new
connections at once instead of leaving them unanswered, all processes count together for /metrics, an answer goes out in one
piece, and a body whose chunks can't be read is no failure of the app. gunicorn must not stand alone in a network:
docs/deploy.md.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

bind = "127.0.0.1:8000"
workers = 2
threads = 16
# A request may wait through a failover (VERIFIER_REQUEST_DEADLINE), and must not be killed while it does.
timeout = 60
graceful_timeout = 30
accesslog = None
# With `--access-logfile -` on. Beside it stand the fields of AccessLog; who called is the name of the API key.
access_log_format = "%(m)s %(U)s %(s)s"
# gunicorn 27 would write a control socket into the home directory.
control_socket_disable = True
# Nobody is believed because of where they connect from: only VERIFIER_TRUSTED_PROXIES says how many hops are.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
# Ours are short.
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 4096

# Seconds between two attempts to boot a worker process, once one has run.
BOOT_PAUSE_S = 5.0
CHECKED_WITHIN_S = 60.0
# Where the processes count, for prometheus-client (verifier/metrics/shared.py).
METRICS = "PROMETHEUS_MULTIPROC_DIR"
_METRICS_PREFIX = "verifier-metrics-"
# gunicorn ends altogether when a worker process ends with one of these: it could not boot, or not load the app.
_FATAL = {3, 4}


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests in threads, and bears that the listening socket is shut down in a stop."""

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; on Linux a listening socket that was shut down answers EINVAL."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.set_accept_enabled(False)

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


worker_class = Worker


class AccessLog(Logger):  # type: ignore[misc]
    """Writes gunicorn's lines as all others are written (verifier/loglines/), and of each request one line.

    Whatever the request holds: gunicorn decodes %0d%0a in a path.
    """

    def setup(self, cfg: Any) -> None:
        """Let gunicorn open its logs, and format what goes there."""
        super().setup(cfg)
        # Here, where the directory of the app is on the path already.
        from verifier.loglines import early_settings, formatter_for  # noqa: PLC0415

        settings = early_settings(os.environ)
        if cfg.loglevel == "info":
            self.error_log.setLevel(settings.level)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                if getattr(handler, "_gunicorn", False):
                    handler.setFormatter(formatter_for(settings, getattr(handler, "stream", None)))

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write the line of a request, with its parts as fields."""
        if not self.access_log_enabled:
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        fields = {
            "client": atoms["h"],
            "caller": atoms["{verifier.caller}e"],
            "method": atoms["m"],
            "path": atoms["U"],
            "status": int(atoms["s"]) if str(atoms["s"]).isdigit() else atoms["s"],
            "bytes": atoms["B"],
            "duration_ms": atoms["M"],
            "request_id": atoms["{verifier.request_id}e"],
        }
        self.access_log.info(self.cfg.access_log_format, atoms, extra=fields)

    def atoms(self, *request: Any) -> dict[str, Any]:
        """Return what may stand in a line, without line breaks and what would command a terminal."""
        return {
            name: _on_one_line(value) if isinstance(value, str) else value
            for name, value in super().atoms(*request).items()
        }


logger_class = AccessLog


def _on_one_line(text: str) -> str:
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def on_starting(server: Any) -> None:
    """Keep a byte that all processes share: whether a worker process has ever booted; and let them count together."""
    server.has_served = mmap.mmap(-1, 1)
    os.environ.pop(METRICS, None)
    # systemd's, where the unit has one; else the temporary directory, the one place that may be written to.
    parent = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    try:
        _forget_the_dead(parent or tempfile.gettempdir())
        os.environ[METRICS] = tempfile.mkdtemp(prefix=f"{_METRICS_PREFIX}{os.getpid()}-", dir=parent or None)
    except OSError as error:
        server.log.warning("No directory for the metrics of all processes, so each shows its own: %s", error)


def _forget_the_dead(parent: str) -> None:
    """Remove what a gunicorn left there that was killed; nobody else's can be removed by this user."""
    for each in os.scandir(parent):
        pid = each.name.removeprefix(_METRICS_PREFIX).partition("-")[0]
        if each.name.startswith(_METRICS_PREFIX) and pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(each.path, ignore_errors=True)


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Remove what the processes counted."""
    shutil.rmtree(os.environ.get(METRICS, ""), ignore_errors=True)


def when_ready(server: Any) -> None:
    """Put our reload and stop before gunicorn's."""
    reload, stop = server.reload, server.stop

    def reload_when_settings_are_right() -> None:
        problem = _problem_with_settings()
        if problem:
            server.log.error("Nothing is reloaded, and what runs goes on:\n%s", problem)
        else:
            reload()

    def refuse_and_stop(graceful: bool = True) -> None:
        # A worker process that waits for its last request accepts no more; whoever still connected would wait with
        # it, and be cut off in the end.
        for listener in _own_listeners(server):
            try:
                listener.sock.shutdown(socket.SHUT_RD)
            except OSError as error:
                server.log.debug("%s: %s", listener, error)
        try:
            stop(graceful)
        except HaltServer:
            # It stops since one worker process could not boot, and meanwhile the next one could not either.
            refuse_and_stop(graceful)

    server.reload, server.stop = reload_when_settings_are_right, refuse_and_stop


def _own_listeners(server: Any) -> list[Any]:
    """Return the sockets that nobody else has: after USR2 another gunicorn serves the same ones, or systemd holds them."""
    is_alone = server.reexec_pid == server.master_pid == 0 and not server.systemd
    return list(server.LISTENERS) if is_alone else []


def post_fork(server: Any, worker: Any) -> None:
    """Tell the worker process whether one ran before it."""
    worker.has_served = server.has_served


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


def post_worker_init(worker: Any) -> None:
    """Note that one has booted, and say so."""
    worker.wsgi = _with_readable_bodies(worker.wsgi)
    worker.has_served[0] = 1
    worker.log.info("Worker process %d serves.", worker.pid)


def worker_exit(server: Any, worker: Any) -> None:
    """After a boot that failed, end with a code that has gunicorn try again, after a pause.

    Before any has served, gunicorn ends, so that a wrong setting is seen at once.
    """
    ending = sys.exc_info()[1]
    if os.getpid() != worker.pid or worker.booted or not server.has_served[0]:
        return
    if isinstance(ending, SystemExit) and ending.code in _FATAL:
        server.log.error("A worker process could not boot; the next attempt is in %.0f s.", BOOT_PAUSE_S)
        time.sleep(BOOT_PAUSE_S)
        os._exit(1)


def _problem_with_settings() -> str:
    """Return what `flask check-settings` has to say; empty where nothing is wrong."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "check-settings"]
    try:
        checked = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=CHECKED_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        return f"The settings could not be checked within {CHECKED_WITHIN_S:.0f} s: send the HUP again."
    return (checked.stdout or checked.stderr).strip() if checked.returncode else ""
