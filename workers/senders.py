"""Several threads that send at the same time, each over connections of its own, and one that asks failed relays again.

A sender takes a claim, has a relay take the mail and passes the settlement on. It never touches Redis.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from verifier.domain.verifications import DeliveryStatus
from verifier.loglines import about
from verifier.store.deliveries import Claim, Settlement
from workers.delivery import Deliverer
from workers.smtp.relays import Relays

log = logging.getLogger(__name__)

RETRY_AFTER_MISTAKE_S = 30.0
PROBE_EVERY_S = 1.0


class Senders:
    """A fixed number of sender threads; safe for threads."""

    def __init__(
        self,
        deliverer: Deliverer,
        relays: Relays,
        *,
        settle: Callable[[Settlement], None],
        may_send: Callable[[Claim], bool],
        connections: int,
    ) -> None:
        """Take what a settlement is passed to, and what knows whether a claim's mail may leave at this moment."""
        self._deliverer = deliverer
        self._relays = relays
        self._settle = settle
        self._may_send = may_send
        self._claims: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, name=f"sender-{number}", daemon=True)
            for number in range(1, connections + 1)
        ]
        # A probe may take as long as a mail, so it gets a thread of its own.
        self._threads.append(threading.Thread(target=self._probe, name="relay-probe", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def send(self, claim: Claim) -> None:
        """Leave a claim to the next free thread."""
        self._claims.put(claim)

    def stop(self) -> None:
        """Finish the mails that are on their way, and give back the claims that nobody has started on."""
        self._stopping.set()
        for _ in self._threads:
            self._claims.put(None)

    def _send_all(self) -> None:
        while (claim := self._claims.get()) is not None:
            if self._stopping.is_set():
                self._settle(Settlement(claim, DeliveryStatus.QUEUED, tried=False))
            else:
                self._settle(self._send(claim))

    def _send(self, claim: Claim) -> Settlement:
        verification = claim.verification
        with about(verification_id=verification.id, request_id=verification.http_request_id):
            return self._send_whatever_happens(claim)

    def _send_whatever_happens(self, claim: Claim) -> Settlement:
        try:
            return self._deliverer.deliver(claim, lambda: self._may_send(claim))
        except Exception:
            # A mistake of ours in one mail must not end the thread; the delivery is tried again later.
            log.exception(
                "Delivery %d of verification %s failed because of an error in the worker; it is tried again.",
                claim.number,
                claim.verification.id,
            )
            return Settlement(claim, DeliveryStatus.DEFERRED, RETRY_AFTER_MISTAKE_S, "internal error")

    def _probe(self) -> None:
        while not self._stopping.wait(PROBE_EVERY_S):
            try:
                self._relays.probe()
            except Exception:
                log.exception("Asking a failed relay again did not work because of an error in the worker.")
