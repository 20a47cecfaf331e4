"""What can be done with verifications: start, read, check, resend, cancel.

The rules of the domain are applied here, the store writes atomically, and nobody else calls the store. A
clock that gives Unix time in seconds comes from outside, so that tests need no waiting.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sentinel import TRANSIENT, Backpressure, CircuitOpen, PermanentError
from verifier.domain.addresses import normalise_address
from verifier.domain.codes import (
    code_of,
    is_verification_id,
    new_verification_id,
    normalise_typed_code,
    same_code,
)
from verifier.domain.errors import QueueFull, ServiceUnavailable, VerificationNotFound
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.domain.verifications import Delivery, DeliveryStatus, Status, Verification
from verifier.logs import ThrottledLog
from verifier.store.verifications import Resend, VerificationStore

log = logging.getLogger(__name__)
throttled_log = ThrottledLog(log)

RETRY_AFTER_S = 5
_MOST_READS_BEFORE_RESEND = 5


@dataclass(frozen=True)
class CheckResult:
    """What came of a typed code: whether it was the right one just now, and the verification after it."""

    valid: bool
    verification: Verification


@contextmanager
def redis_errors_as_unavailable() -> Iterator[None]:
    """Raise the sentence for people in place of an error of the link; operators find that in the log.

    Raises:
        QueueFull: Redis has no room.
        ServiceUnavailable: it can't be reached, or refuses us.
    """
    try:
        yield
    except Backpressure as error:
        throttled_log.log(logging.ERROR, "Redis has no room, so nothing is taken on: %s", error)
        raise QueueFull from error
    except (*TRANSIENT, PermanentError) as error:
        if isinstance(error, PermanentError):
            throttled_log.log(logging.ERROR, "Redis can't be used: %s", error)
        elif not isinstance(error, CircuitOpen):
            throttled_log.log(logging.WARNING, "A request was given up: %s", error)
        raise ServiceUnavailable(
            "The service can't reach its database at the moment, so nothing was done. Please try again in a few seconds.",
            RETRY_AFTER_S,
        ) from error


class VerificationService:
    """The use cases. Raises only errors of the domain."""

    def __init__(
        self, store: VerificationStore, keys: KeyRing, rules: Rules, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._keys = keys
        self.rules = rules
        self.clock = clock

    def start(self, address: str) -> Verification:
        """Accept an address: once this returns, the mail goes out.

        Raises:
            InvalidAddress, QueueFull, ServiceUnavailable: nothing was accepted.
        """
        now = self._now()
        verification = Verification(
            id=new_verification_id(),
            address=normalise_address(address),
            key_id=self._keys.current,
            created_at=now,
            expires_at=now + self.rules.lifetime_s,
            last_sent_at=now,
            delivery=Delivery(number=1, status=DeliveryStatus.QUEUED, queued_at=now),
        )
        with redis_errors_as_unavailable():
            self._store.accept(verification)
        return verification

    def get(self, verification_id: str) -> Verification:
        """Read a verification. Raises VerificationNotFound, ServiceUnavailable."""
        _require_id(verification_id)
        with redis_errors_as_unavailable():
            return self._store.get(verification_id)

    def check(self, verification_id: str, typed: str) -> CheckResult:
        """Judge a typed code. The attempt is counted before it is judged, and a code works once.

        Raises:
            MalformedCode: what was typed can't be a code; no attempt is counted.
            VerificationNotFound, ServiceUnavailable.
        """
        _require_id(verification_id)
        code = normalise_typed_code(typed, self.rules.code_digits)
        with redis_errors_as_unavailable():
            counted, verification = self._store.count_attempt(
                verification_id, self.clock(), self.rules.max_check_attempts
            )
            if not counted or not self._is_code_of(verification, code):
                return CheckResult(False, verification)
            approved, verification = self._store.end(verification_id, Status.APPROVED)
            return CheckResult(approved, verification)

    def resend(self, verification_id: str) -> Verification:
        """Have the mail sent again, with the same code.

        Raises:
            VerificationEnded, ResendTooSoon, TooManySends: the rules do not allow it.
            VerificationNotFound, QueueFull, ServiceUnavailable.
        """
        _require_id(verification_id)
        with redis_errors_as_unavailable():
            for _ in range(_MOST_READS_BEFORE_RESEND):
                verification = self._store.get(verification_id)
                now = self._now()
                verification.require_resendable(now, self.rules)
                if self._store.resend(verification, now) is Resend.ACCEPTED:
                    return self._store.get(verification_id)
        raise ServiceUnavailable("This verification is changing too quickly. Please try again.", 1)

    def cancel(self, verification_id: str) -> Verification:
        """Cancel a pending verification; canceling a canceled one changes nothing.

        Raises:
            VerificationEnded: it ended otherwise.
            VerificationNotFound, ServiceUnavailable.
        """
        _require_id(verification_id)
        with redis_errors_as_unavailable():
            verification = self._store.get(verification_id)
            if verification.decided is Status.CANCELED:
                return verification
            verification.require_pending(self.clock(), self.rules)
            canceled, verification = self._store.end(verification_id, Status.CANCELED)
        if not canceled and verification.decided is not Status.CANCELED:
            verification.require_pending(self.clock(), self.rules)
        return verification

    def status(self, verification: Verification) -> Status:
        """Return the status at this moment."""
        return verification.status(self.clock(), self.rules)

    def _now(self) -> float:
        """Return the time down to the millisecond: more digits would only take memory, thrice in each record."""
        return math.floor(self.clock() * 1000) / 1000

    def _is_code_of(self, verification: Verification, code: str) -> bool:
        expected = code_of(verification.id, verification.address, verification.key_id, self._keys, self.rules)
        return expected is not None and same_code(expected, code)


def _require_id(verification_id: str) -> None:
    if not is_verification_id(verification_id):
        raise VerificationNotFound
