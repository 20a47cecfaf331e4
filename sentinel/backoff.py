"""Waiting: exponential, jittered, capped. A random source and a clock can be given, so that tests need no time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from sentinel.endpoints import Endpoint

# How long the one who tries an endpoint after its rest has for it, in seconds.
PROBE_S = 1.0


class Backoff:
    """How long to wait before the next attempt, in seconds.

    The n-th wait is drawn from the upper half of `first * 2**n`, capped at `cap`: many processes that
    lost the same master spread out, and none of them comes back at once.
    """

    def __init__(self, first_s: float, cap_s: float, draw: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._attempts = 0

    def next_s(self) -> float:
        """Give the next wait."""
        ceiling = min(self._cap_s, self._first_s * 2 ** min(self._attempts, 30))
        self._attempts += 1
        return float(ceiling * (0.5 + 0.5 * self._draw()))

    def reset(self) -> None:
        """Start again from the first wait, after a success or when something has changed."""
        self._attempts = 0


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

    def remaining_s(self, endpoint: Endpoint) -> float:
        """Give for how many more seconds the endpoint is left alone; 0 tells the caller to try it now.

        After a rest one caller is told so, and the others only when it has worked, or has had its time:
        whoever waits for a master that is away would otherwise try together.
        """
        with self._lock:
            now = self._clock()
            rest_s = max(0.0, self._until.get(endpoint, 0.0) - now)
            if rest_s == 0.0 and endpoint in self._backoffs:
                self._until[endpoint] = now + PROBE_S
            return rest_s

    def reason(self, endpoint: Endpoint) -> str:
        """Give why the newest attempt failed; empty where it did not."""
        with self._lock:
            return self._reasons.get(endpoint, "")

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
