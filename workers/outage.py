"""What is logged while Redis is away: once that it is, now and then that it still is, once that it is back.

All threads of a worker report here, so that five of them do not log the same thing five times. It is more than a
`verifier.logs.ThrottledLog`: it is silent on a short reconnect, logs an error that an operator must mend at once,
logs the end, and knows for how long Redis has been back, which recovery asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sentinel import Backpressure, PermanentError

log = logging.getLogger(__name__)

LOG_AGAIN_AFTER_S = 60.0
# Shorter than this is a reconnect, not an outage, and is not logged.
SHORTEST_OUTAGE_S = 0.5


class Outage:
    """Whether Redis is away, since when, and when it was last back; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._logged_at: float | None = None
        self._back_at: float | None = None
        self._kind: type[Exception] | None = None

    def failed(self, error: Exception) -> None:
        """Note that a command failed because of a state of Redis."""
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since, self._logged_at, self._kind = now, None, None
            if self._is_to_be_logged(error, now):
                self._logged_at, self._kind = now, type(error)
                log.log(
                    _level(error),
                    "%s (waiting for %.0f s so far): %s",
                    _headline(error),
                    now - self._since,
                    error,
                )

    def worked(self) -> None:
        """Note that a command worked."""
        if not self.is_on():
            return
        with self._lock:
            if self._since is None:
                return
            now = self._clock()
            if self._logged_at is not None:
                log.warning("Redis is back after %.1f s.", now - self._since)
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

    def _is_to_be_logged(self, error: Exception, now: float) -> bool:
        permanent = isinstance(error, PermanentError)
        if self._logged_at is None:
            return permanent or now - (self._since or now) >= SHORTEST_OUTAGE_S
        if permanent and self._kind is not type(error):
            return True
        return now - self._logged_at >= LOG_AGAIN_AFTER_S


def _headline(error: Exception) -> str:
    if isinstance(error, PermanentError):
        return "Redis can't be used until an operator acts"
    if isinstance(error, Backpressure):
        return "Redis has no room"
    return "Redis is away"


def _level(error: Exception) -> int:
    return logging.ERROR if isinstance(error, PermanentError | Backpressure) else logging.WARNING
