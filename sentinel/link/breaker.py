"""The circuit breaker: when an outage lasts, nobody is kept waiting, and one caller at a time looks again.

Pure but for a lock: the clock is given. Closed: everybody tries. After an outage of `opens_after_s` seconds it opens:
callers are refused at once, except for one probe every `probe_every_s` seconds. An outage lasts from its first failure
until something works, or until nothing has failed for a few seconds: what failed long ago tells nothing of today.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sentinel.errors import CircuitOpen
from sentinel.observer import LinkObserver

# For how many seconds a failure speaks for the present. A probe that is under way counts, too: a hung Redis takes long to fail.
OVER_AFTER_S = 3.0


class Breaker:
    """Whether it is worth trying; times in seconds; safe for threads."""

    def __init__(
        self,
        opens_after_s: float,
        probe_every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        observer: LinkObserver | None = None,
    ) -> None:
        self._opens_after_s = opens_after_s
        self._probe_every_s = probe_every_s
        self._clock = clock
        self._observer = observer or LinkObserver()
        self._refuses = False
        self._lock = threading.Lock()
        self._down_since: float | None = None
        self._last_sign_at = 0.0
        self._next_probe_at = 0.0
        self._reason = ""

    def admit(self) -> float:
        """Let the caller try, or raise CircuitOpen; return when it began, for `failed`."""
        with self._lock:
            now = self._clock()
            if self._down_since is None or self._is_over(now) or now - self._down_since < self._opens_after_s:
                return now
            if now >= self._next_probe_at:
                self._next_probe_at, self._last_sign_at = now + self._probe_every_s, now
                return now
            down_for_s, reason = now - self._down_since, self._reason
            self._note(refuses=True)
        raise CircuitOpen(f"Redis has not answered for {down_for_s:.0f} s. {reason}".rstrip())

    def worked(self) -> None:
        """Note a success: the circuit is closed."""
        if self._down_since is not None:
            with self._lock:
                self._down_since = None
                self._note(refuses=False)

    def failed(self, began_at: float, reason: str = "") -> None:
        """Note the failure of what `admit` let through at `began_at`, and what whoever is refused is told of it."""
        with self._lock:
            if self._down_since is None or self._is_over(began_at):
                self._down_since, self._next_probe_at = self._clock(), 0.0
                self._note(refuses=False)
            self._last_sign_at, self._reason = self._clock(), reason

    def note_if_over(self) -> None:
        """Tell the observer that the outage is over where nothing failed for a while, though nobody has tried since."""
        if self._refuses:
            with self._lock:
                if self._is_over(self._clock()):
                    self._note(refuses=False)

    def _note(self, *, refuses: bool) -> None:
        if refuses != self._refuses:
            self._refuses = refuses
            self._observer.circuit(is_open=refuses)

    def _is_over(self, now: float) -> bool:
        return now - self._last_sign_at > OVER_AFTER_S

    def reconsider(self) -> None:
        """Let the next caller through: there is a reason to try again."""
        with self._lock:
            self._next_probe_at = 0.0
