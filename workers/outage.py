"""What the log says while Redis is away: once that it is, now and then that it still is, once that it is back.

All loops of a worker report here, so that five of them do not say the same thing five times.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sentinel import Backpressure, PermanentError

log = logging.getLogger(__name__)

SAY_AGAIN_AFTER_S = 60.0
# Shorter than this is a reconnect, not an outage, and is only said when it is over.
WORTH_A_LINE_S = 0.5


class Outage:
    """Whether Redis is away, since when, and when it was last back; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said_at: float | None = None
        self._back_at: float | None = None
        self._kind: type[Exception] | None = None

    def failed(self, error: Exception) -> None:
        """Note that something did not work."""
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since, self._said_at, self._kind = now, None, None
            if self._worth_a_line(error, now):
                self._said_at, self._kind = now, type(error)
                log.log(
                    _level(error),
                    "%s (waiting for %.0f s so far): %s",
                    _headline(error),
                    now - self._since,
                    error,
                )

    def worked(self) -> None:
        """Note that something worked."""
        if not self.is_on():
            return
        with self._lock:
            if self._since is None:
                return
            now = self._clock()
            if self._said_at is not None:
                log.warning("Redis is back after %.1f s; going on.", now - self._since)
            self._since, self._back_at = None, now

    def is_on(self) -> bool:
        """Return whether nothing has worked since the last failure."""
        return self._since is not None

    def over_for_s(self) -> float | None:
        """Return for how many seconds Redis has been back; None while it is away, or where it never was."""
        with self._lock:
            if self._since is not None or self._back_at is None:
                return None
            return self._clock() - self._back_at

    def _worth_a_line(self, error: Exception, now: float) -> bool:
        permanent = isinstance(error, PermanentError)
        if self._said_at is None:
            return permanent or now - (self._since or now) >= WORTH_A_LINE_S
        if permanent and self._kind is not type(error):
            return True
        return now - self._said_at >= SAY_AGAIN_AFTER_S


def _headline(error: Exception) -> str:
    if isinstance(error, PermanentError):
        return "Redis can't be used until an operator acts"
    if isinstance(error, Backpressure):
        return "Redis has no room"
    return "Redis can't be reached"


def _level(error: Exception) -> int:
    return logging.ERROR if isinstance(error, PermanentError | Backpressure) else logging.WARNING
