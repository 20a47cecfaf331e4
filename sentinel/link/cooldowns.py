"""Endpoints that failed and are left alone for a while, so that an outage costs few connection attempts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sentinel.backoff import Backoff
from sentinel.endpoints import Endpoint
from sentinel.errors import TransientError

# How long the one who tries an endpoint after its cooldown has for it, in seconds.
PROBE_S = 1.0


class Cooldowns:
    """Endpoints that failed and are left alone for a while; safe for threads.

    All connections of a process to one endpoint go through here, so that an outage costs about one attempt
    a second and endpoint, however many threads want one.
    """

    def __init__(
        self, first_s: float = 0.2, cap_s: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._clock = clock
        self._lock = threading.Lock()
        self._backoffs: dict[Endpoint, Backoff] = {}
        self._until: dict[Endpoint, float] = {}
        self._reasons: dict[Endpoint, str] = {}

    def admit(self, endpoint: Endpoint) -> None:
        """Let the caller try the endpoint, or raise TransientError with the reason of the newest failure.

        After a cooldown one caller is admitted, and the others only when it has worked, or has had its time:
        whoever waits for a master that is away would otherwise try together.
        """
        with self._lock:
            now = self._clock()
            remaining_s = self._until.get(endpoint, 0.0) - now
            if remaining_s <= 0:
                if endpoint in self._backoffs:
                    self._until[endpoint] = now + PROBE_S
                return
            reason = self._reasons[endpoint]
        raise TransientError(f"{reason} The next attempt is in {remaining_s:.1f} s.")

    def failed(self, endpoint: Endpoint, reason: str) -> None:
        """Note that an attempt failed, and why."""
        with self._lock:
            self._reasons[endpoint] = reason
            backoff = self._backoffs.setdefault(endpoint, Backoff(self._first_s, self._cap_s))
            self._until[endpoint] = self._clock() + backoff.next_s()

    def worked(self, endpoint: Endpoint) -> None:
        """Note that an attempt worked, or that there is a reason to try at once."""
        with self._lock:
            self._backoffs.pop(endpoint, None)
            self._until.pop(endpoint, None)
            self._reasons.pop(endpoint, None)
