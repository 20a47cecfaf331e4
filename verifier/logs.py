"""Logging to standard error, one line an event, with the time in UTC."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(level: int = logging.INFO) -> None:
    """Log everything from `level` on; a second call changes nothing."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    formatter = logging.Formatter(LINE, datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level)


class ThrottledLog:
    """A log for what may happen to hundreds of requests at once: a line of a kind every `every_s` seconds.

    Lines of a level are of one kind. What was left out is counted, and the next line says how many. Safe for threads.
    """

    def __init__(
        self, log: logging.Logger, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._logged_at: dict[int, float] = {}
        self._left_out: dict[int, int] = {}

    def log(self, level: int, message: str, *values: object) -> None:
        """Log a line, unless one of its level was logged a moment ago."""
        with self._lock:
            now = self._clock()
            if now - self._logged_at.get(level, -self._every_s) < self._every_s:
                self._left_out[level] = self._left_out.get(level, 0) + 1
                return
            self._logged_at[level] = now
            left_out = self._left_out.pop(level, 0)
        if left_out:
            message, values = f"{message} (and %d more since the last line)", (*values, left_out)
        self._log.log(level, message, *values)
