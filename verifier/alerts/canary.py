"""A verification of our own that goes the whole way: accepted, queued, claimed, handed to a relay.

That the relay took its mail is its arrival; then it is canceled, since nobody will type its code. One at a time is on its
way. It counts towards no limit, and leaves no dead letter: what a relay said to it stands in its record.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from redis import Redis

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.domain.errors import VerificationNotFound, VerifierError
from verifier.domain.verifications import DeliveryStatus, Verification
from verifier.loglines import masked
from verifier.logs import ThrottledLog
from verifier.service import VerificationService
from verifier.store.alerts import CanaryRecord, keep_canary, read_canary
from verifier.store.dead_letters import discard_dead_letters
from verifier.store.keyspace import job_id

log = logging.getLogger(__name__)

DEADLINE_S = 2.0
_FAILED = {DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED}


class Canary:
    """Used by one thread, in the process that tells of alerts."""

    def __init__(
        self, service: VerificationService, link: MasterLink, address: str, interval_s: float
    ) -> None:
        """Send nothing yet. The service should have no limits: this is no stranger."""
        self._service = service
        self._link = link
        self._address = address
        self._interval_s = interval_s
        self._log = ThrottledLog(log, every_s=60.0)

    def step(self, now: float) -> None:
        """Look after the one that is on its way, or start the next where it is time; never raises for Redis's state."""
        try:
            record = self._link.run(read_canary, DEADLINE_S)
            after = self._looked_after(record, now) if record.pending else self._started(record, now)
            if after != record:
                self._link.run(lambda client: keep_canary(client, after, self._kept_for_s), DEADLINE_S)
        except (VerifierError, *TRANSIENT, PermanentError, Backpressure) as error:
            self._log.log(
                logging.WARNING, "The canary could not be looked after, and is tried again: %s", error
            )

    @property
    def _kept_for_s(self) -> float:
        """Longer than anybody waits for the next one, and not for ever: the canary may be turned off."""
        return max(3600.0, 10 * self._interval_s)

    def _started(self, record: CanaryRecord, now: float) -> CanaryRecord:
        if record.started_at is not None and now - record.started_at < self._interval_s:
            return record
        # By the same key a repeat leads to the same one, should this process die before it is written down.
        key = f"canary {int(now // self._interval_s)}"
        began_at = record.began_at if record.began_at is not None else now
        try:
            verification = self._service.start(self._address, request_key=key)
        except VerifierError as error:
            # It was not even accepted, and is late as well.
            self._log.log(logging.WARNING, "The canary was not accepted, and is tried again: %s", error)
            return replace(record, began_at=began_at)
        return replace(record, pending=verification.id, started_at=now, began_at=began_at)

    def _looked_after(self, record: CanaryRecord, now: float) -> CanaryRecord:
        try:
            verification = self._service.get(record.pending)
        except VerificationNotFound:
            return replace(record, pending="")
        delivery = verification.delivery
        # Readiness and alerts pass it on, to anybody who asks and to chats; relays quote addresses.
        reply = masked(delivery.relay_reply)
        if delivery.status is DeliveryStatus.SENT:
            self._end(verification)
            return replace(record, pending="", arrived_at=now, reply="")
        if delivery.status in _FAILED or now >= verification.expires_at:
            self._end(verification)
            self._link.run(lambda client: self._forget(client, verification), DEADLINE_S)
            return replace(record, pending="", reply=reply)
        return replace(record, reply=reply or record.reply)

    def _end(self, verification: Verification) -> None:
        try:
            self._service.cancel(verification.id)
        except VerifierError as error:
            log.debug("The canary could not be canceled: %s", error)

    @staticmethod
    def _forget(client: Redis, verification: Verification) -> None:
        discard_dead_letters(client, [job_id(verification.id, verification.delivery.number)])
