"""The worker of the embedded surroundings: a process beside the app's, started again should it ever end."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from sentinel import tied_to_this_process

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 10
RESTART_AFTER_S = 2.0


class WorkerProcess:
    """Keeps one `flask worker` running until `stop`, which an ordinary end of this process calls.

    When this process is killed instead, the kernel kills the worker: the thread that started it is gone.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="worker-process", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Let it finish its mails and end, within a few seconds."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep_running(self) -> None:
        while not self._stopping.is_set():
            self._process = _start()
            code = self._process.wait()
            if not self._stopping.is_set():
                log.error(
                    "The worker ended with exit code %d; starting it again in %g s.", code, RESTART_AFTER_S
                )
                self._stopping.wait(RESTART_AFTER_S)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    return subprocess.Popen(  # noqa: S603 - our own command
        tied_to_this_process(command),
        cwd=Path(__file__).resolve().parents[2],
        env={
            name: value for name, value in os.environ.items() if not name.startswith(("WERKZEUG_", "FLASK_"))
        },
        # The terminal's Ctrl-C reaches this process, which then stops the worker.
        start_new_session=True,
    )
