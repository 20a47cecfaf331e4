"""The maintenance thread: renews leases, recovers what is due, closes idle connections to relays, and keeps
the worker visible to `rq info`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from workers.container import WorkerContainer
from workers.in_flight import InFlight
from workers.recovery import Recovery
from workers.retry_policy import STATES_OF_REDIS, Stopping

log = logging.getLogger(__name__)

RECOVER_EVERY_S = 1.0
EXTEND_EVERY_S = 2.0
ANNOUNCE_EVERY_S = 5.0


class Maintenance:
    """One thread; `announce` writes the worker's own record and reads whether work is suspended."""

    def __init__(self, container: WorkerContainer, in_flight: InFlight, announce: Callable[[], None]) -> None:
        self._container = container
        self._in_flight = in_flight
        self._announce = announce
        self._recovery = Recovery(container)
        self._extended_at = time.monotonic()
        self._announced_at = 0.0
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` seconds for the thread: it ends when the worker stops and nothing is in flight."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        retry_policy = self._container.retry_policy
        while not retry_policy.stopping:
            try:
                retry_policy.until_it_works(self._round)
            except Stopping:
                return
            except Exception:
                # A mistake of ours; without this thread leases would run out one by one.
                log.exception("A round of maintenance failed; the next one follows in %g s.", RECOVER_EVERY_S)
            retry_policy.pause(RECOVER_EVERY_S)
        self._extend_until_all_are_settled()

    def _round(self) -> None:
        # First, since it is the one thing here that can be done while Redis is away.
        self._container.relays.close_idle()
        now = time.monotonic()
        if now - self._extended_at >= EXTEND_EVERY_S:
            self._extend()
        if now - self._announced_at >= ANNOUNCE_EVERY_S:
            self._announce()
            self._announced_at = now
        self._recovery.run()

    def _extend(self) -> None:
        claims = self._in_flight.claims()
        if claims:
            self._container.deliveries.extend(self._container.link.redis, claims)
        self._extended_at = time.monotonic()

    def _extend_until_all_are_settled(self) -> None:
        while not self._in_flight.wait_until_empty(EXTEND_EVERY_S):
            try:
                self._extend()
            except STATES_OF_REDIS as error:
                self._container.retry_policy.outage.failed(error)
