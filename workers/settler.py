"""A thread that writes settlements to Redis, in batches, however long Redis stays away.

A mail that went out stays sent: an absent Redis only delays the writing, and meanwhile the claim stays in
flight and its lease is renewed as soon as that works again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from verifier.domain.verifications import DeliveryStatus
from verifier.loglines import about
from verifier.logs import ThrottledLog
from verifier.store.deliveries import Settlement
from verifier.store.ops import series
from workers.container import WorkerContainer
from workers.in_flight import InFlight
from workers.retry_policy import Stopping

log = logging.getLogger(__name__)

BATCH = 128
WINDOW_S = 60.0
SETTLED = "settled"
_COUNTED_AS = {
    DeliveryStatus.SENT: series.SENT,
    DeliveryStatus.DEFERRED: series.DEFERRED,
    DeliveryStatus.REJECTED: series.REJECTED,
    DeliveryStatus.ABANDONED: series.ABANDONED,
}
# One line a minute; it says how many there were.
DEAD_LETTERS_EVERY_S = 60.0
CATCH_UP_EVERY_S = 5.0


class Throughput:
    """How much a counter has grown in the last minute; look at it every few seconds, from one thread."""

    def __init__(self, total: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._seen = deque([(clock(), total())])

    def last_minute(self) -> int:
        """Return by how much the counter has grown in the last minute, as exactly as it is looked at."""
        now = self._clock()
        self._seen.append((now, self._total()))
        # The youngest look that is a minute old is what is compared with.
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()
        return self._seen[-1][1] - self._seen[0][1]


class Settler:
    """One thread; `put` may be called from any."""

    def __init__(self, container: WorkerContainer, in_flight: InFlight) -> None:
        self._container = container
        self._in_flight = in_flight
        self._waiting: queue.SimpleQueue[Settlement | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._settle_all, name="settler", daemon=True)
        self._dead_letters = ThrottledLog(log, DEAD_LETTERS_EVERY_S)
        self.tally = series.Tally()
        self.sent = 0
        self.failed = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, settlement: Settlement) -> None:
        """Leave a settlement to the thread."""
        self._waiting.put(settlement)

    def stop(self, timeout_s: float) -> None:
        """Write what is there, then end; wait at most `timeout_s` seconds for it."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _settle_all(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._next_batch()
            if batch:
                self._settle(batch)
            self._dead_letters.catch_up(at_once=not going_on)

    def _next_batch(self) -> tuple[list[Settlement], bool]:
        """Wait for one settlement and take what else is there; return the batch, and False with the last one.

        Now and then it is empty: what the log left out has its turn.
        """
        batch: list[Settlement] = []
        try:
            settlement = self._waiting.get(timeout=CATCH_UP_EVERY_S)
        except queue.Empty:
            return batch, True
        while settlement is not None:
            batch.append(settlement)
            if len(batch) >= BATCH or self._waiting.empty():
                return batch, True
            settlement = self._waiting.get()
        return batch, False

    def _settle(self, batch: list[Settlement]) -> None:
        try:
            replies = self._container.settle(batch)
        except Stopping:
            sent = sum(settlement.outcome is DeliveryStatus.SENT for settlement in batch)
            log.error(  # noqa: TRY400 - Redis being away is no mistake of the program
                "Redis stayed away until the worker had to stop: the results of %d deliveries could not be written. "
                "%d of these mails were sent and will be sent once more, with the same code.",
                len(batch),
                sent,
            )
        except Exception:
            # A mistake of ours; the leases run out, and recovery sees to the deliveries.
            log.exception("%d settlements were not written; those deliveries are tried again.", len(batch))
        else:
            self._count(batch, replies)
        self._in_flight.remove([settlement.claim for settlement in batch])

    def _count(self, batch: list[Settlement], replies: list[str]) -> None:
        for settlement, reply in zip(batch, replies, strict=True):
            if reply == SETTLED and settlement.outcome in _COUNTED_AS:
                self.tally.add(_COUNTED_AS[settlement.outcome])
            if settlement.outcome is DeliveryStatus.SENT:
                self.sent += 1
            elif settlement.outcome in {DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED}:
                self.failed += 1
                self._dead_letters.log(
                    logging.WARNING,
                    "Delivery %d of verification %s was given up (%s): it is a dead letter, which `flask deliveries show` "
                    "explains.",
                    settlement.claim.number,
                    settlement.claim.verification.id,
                    settlement.outcome,
                )
            _log(settlement, reply)


def _log(settlement: Settlement, reply: str) -> None:
    """Log what came of a delivery; that nobody was asked is no news."""
    verification = settlement.claim.verification
    with about(verification_id=verification.id, request_id=verification.http_request_id):
        log.log(
            logging.INFO if settlement.tried else logging.DEBUG,
            "Delivery %d of verification %s: %s%s%s",
            settlement.claim.number,
            verification.id,
            settlement.outcome,
            f", {settlement.relay_reply}" if settlement.relay_reply else "",
            "" if reply == "settled" else f" ({reply})",
        )
