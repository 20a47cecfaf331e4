"""Several threads that send at the same time, each over connections of its own.

A sender takes a claim, has a relay take the mail and passes the settlement on. It never touches Redis.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from verifier.domain.verifications import DeliveryStatus
from verifier.store.deliveries import Claim, Settlement
from workers.delivery import Deliverer

log = logging.getLogger(__name__)

RETRY_AFTER_MISTAKE_S = 30.0


class Senders:
    """A fixed number of sender threads; safe for threads."""

    def __init__(self, deliverer: Deliverer, settle: Callable[[Settlement], None], connections: int) -> None:
        self._deliverer = deliverer
        self._settle = settle
        self._claims: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._releasing = False
        self._threads = [
            threading.Thread(target=self._send_all, name=f"sender-{number}", daemon=True)
            for number in range(1, connections + 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def send(self, claim: Claim) -> None:
        """Leave a claim to the next free thread."""
        self._claims.put(claim)

    def stop(self) -> None:
        """Finish the mails that are on their way, and give back the claims that nobody has started on."""
        self._releasing = True
        for _ in self._threads:
            self._claims.put(None)

    def _send_all(self) -> None:
        while (claim := self._claims.get()) is not None:
            if self._releasing:
                self._settle(Settlement(claim, DeliveryStatus.QUEUED, tried=False))
            else:
                self._settle(self._send(claim))

    def _send(self, claim: Claim) -> Settlement:
        try:
            return self._deliverer.deliver(claim)
        except Exception:
            # A mistake of ours in one mail must not end the thread; the delivery is tried again later.
            log.exception(
                "Delivery %d of verification %s failed because of an error in the worker; it is tried again.",
                claim.number,
                claim.verification.id,
            )
            return Settlement(claim, DeliveryStatus.DEFERRED, RETRY_AFTER_MISTAKE_S, "internal error")
