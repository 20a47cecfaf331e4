"""What keeps the log short: throttled lines, and a line a minute for nonsense. How lines look: verifier/loglines/."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable


def quieten_nonsense() -> None:
    """Have what strangers cause leave no lines of its own; a second call changes nothing."""
    # Anybody can send a form without its token, and is told so.
    logging.getLogger("flask_wtf.csrf").setLevel(logging.WARNING)
    gunicorn = logging.getLogger("gunicorn.error")
    if not any(isinstance(each, NonsenseFilter) for each in gunicorn.filters):
        gunicorn.addFilter(NonsenseFilter())


class NonsenseFilter(logging.Filter):
    """Takes gunicorn's line for each request that is no HTTP out of its log, and counts it here instead.

    Such lines hold what anybody sent, and there may be thousands of them.
    """

    _BEGINNING = "Invalid request from"

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may stay."""
        if not str(record.msg).startswith(self._BEGINNING):
            return True
        refused("400 Bad Request")
        return False


class ThrottledLog:
    """A log for what may happen to hundreds of requests at once: a line of a kind every `every_s` seconds.

    Lines of a level are of one kind. What was left out is counted, and the next line says how many; whoever calls
    `catch_up` now and then has it said although nothing more happens. Safe for threads.
    """

    def __init__(
        self, log: logging.Logger, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._logged_at: dict[int, float] = {}
        self._left_out: dict[int, tuple[int, str, tuple[object, ...]]] = {}

    def log(self, level: int, message: str, *values: object) -> None:
        """Log a line, unless one of its level was logged a moment ago."""
        with self._lock:
            now = self._clock()
            if now - self._logged_at.get(level, -self._every_s) < self._every_s:
                self._left_out[level] = (self._left_out.get(level, (0,))[0] + 1, message, values)
                return
            self._logged_at[level] = now
            left_out = self._left_out.pop(level, (0,))[0]
        self._write(level, left_out, message, values)

    def catch_up(self, *, at_once: bool = False) -> None:
        """Log the last line that was left out, with the number of the others, where its time has come or `at_once`."""
        with self._lock:
            now = self._clock()
            due = [
                level for level in self._left_out if at_once or now - self._logged_at[level] >= self._every_s
            ]
            lines = [(level, *self._left_out.pop(level)) for level in due]
            self._logged_at.update(dict.fromkeys(due, now))
        for level, left_out, message, values in lines:
            self._write(level, left_out - 1, message, values)

    def _write(self, level: int, left_out: int, message: str, values: tuple[object, ...]) -> None:
        if left_out:
            message, values = f"{message} (and %d more since the last line)", (*values, left_out)
        self._log.log(level, message, *values)


_nonsense = ThrottledLog(logging.getLogger("verifier.requests"), every_s=60)


def refused(answer: str) -> None:
    """Log what anybody can cause without a name: at most a line a minute, with the number of the others."""
    _nonsense.log(logging.INFO, "A request was refused with %s", answer)
