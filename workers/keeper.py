"""The housekeeping thread: renews leases, recovers what is due, and keeps the worker visible to `rq info`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from workers.hands import Hands
from workers.patience import STATES_OF_REDIS, Stopping
from workers.recovery import Recovery
from workers.runtime import Runtime

log = logging.getLogger(__name__)

RECOVER_EVERY_S = 1.0
EXTEND_EVERY_S = 2.0
ANNOUNCE_EVERY_S = 5.0


class Keeper:
    """One thread; `announce` writes the worker's own record and reads whether work is suspended."""

    def __init__(self, runtime: Runtime, hands: Hands, announce: Callable[[], None]) -> None:
        self._runtime = runtime
        self._hands = hands
        self._announce = announce
        self._recovery = Recovery(runtime)
        self._extended_at = time.monotonic()
        self._announced_at = 0.0
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` seconds for the thread, which ends when patience does and nothing is in hand."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        patience = self._runtime.patience
        while not patience.stopping:
            try:
                patience.until_it_works(self._round)
            except Stopping:
                return
            except Exception:
                # A mistake of ours; without this thread leases would run out one by one.
                log.exception("The housekeeping stumbled and goes on")
            patience.pause(RECOVER_EVERY_S)
        self._last_leases()

    def _round(self) -> None:
        now = time.monotonic()
        if now - self._extended_at >= EXTEND_EVERY_S:
            self._extend()
        if now - self._announced_at >= ANNOUNCE_EVERY_S:
            self._announce()
            self._announced_at = now
        self._recovery.run()

    def _extend(self) -> None:
        claims = self._hands.held()
        if claims:
            self._runtime.deliveries.extend(self._runtime.link.redis, claims)
        self._extended_at = time.monotonic()

    def _last_leases(self) -> None:
        """While the last mails are finished their leases must hold as well."""
        while not self._hands.wait_until_empty(EXTEND_EVERY_S):
            try:
                self._extend()
            except STATES_OF_REDIS as error:
                self._runtime.patience.outage.failed(error)
