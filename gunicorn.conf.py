"""gunicorn's settings for the web app; any of them can be overridden on its command line.

Four things are added to what gunicorn does, each tried by tests/integration/deploy/test_gunicorn.py: a worker process that
cannot boot does not end a service that runs, a HUP with wrong settings changes nothing, a TERM refuses new
connections at once instead of leaving them unanswered, and all processes count together for /metrics. How a worker process
serves is verifier/gunicorn_worker.py. gunicorn must not stand alone in a network: docs/deploy.md.
"""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

bind = "127.0.0.1:8000"
worker_class = "verifier.gunicorn_worker.Worker"
workers = 2
# In each process up to twice as many requests are served at once (verifier/gunicorn_worker.py).
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


def post_worker_init(worker: Any) -> None:
    """Note that one has booted, and say so."""
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
