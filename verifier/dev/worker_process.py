"""The worker of the embedded surroundings: a process beside the app's, started again should it ever end."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from sentinel import tied_to_this_process

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 10
RESTART_AFTER_S = 2.0
LOOK_EVERY_S = 1.0


class WorkerProcess:
    """Keeps one `flask worker` running until `stop`, which an ordinary end of this process calls.

    When this process is killed instead, the kernel kills the worker: the thread that started it is gone. A worker reads the
    mails' templates once, so it is replaced when one of them changes.
    """

    def __init__(self, templates: Path) -> None:
        """Take the directory of the templates."""
        self._templates = templates
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
            seen = _changed_at(self._templates)
            self._process = _start()
            code = self._wait(self._process, seen)
            if code is None:
                log.info("The mail's templates changed: the worker is replaced.")
            elif not self._stopping.is_set():
                log.error(
                    "The worker ended with exit code %d; starting it again in %g s.", code, RESTART_AFTER_S
                )
                self._stopping.wait(RESTART_AFTER_S)

    def _wait(self, process: subprocess.Popen[bytes], seen: set[tuple[Path, int]]) -> int | None:
        """Return its exit code; None where it was ended because the templates are not what was seen."""
        while True:
            try:
                return process.wait(LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                if not self._stopping.is_set() and _changed_at(self._templates) != seen:
                    process.terminate()
                    process.wait()
                    return None


def _changed_at(directory: Path) -> set[tuple[Path, int]]:
    """Return each file of a directory with the time of its last change."""
    found = set()
    for path in directory.glob("*"):
        with suppress(FileNotFoundError):  # an editor puts a new one in its place
            found.add((path, path.stat().st_mtime_ns))
    return found


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
