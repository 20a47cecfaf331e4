"""A verification: one proof of one address, as a frozen record, and what follows from it at a time `now`.

The store keeps only what was decided (pending, approved, canceled) and counts; whether a verification is
expired or used up follows from its times and counts, so that no process has to come by and say so.
All times are Unix times in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from verifier.domain.errors import ResendTooSoon, TooManySends, VerificationEnded
from verifier.domain.rules import Rules
from verifier.domain.words import Words, words


class Status(StrEnum):
    """Where a verification stands."""

    PENDING = "pending"
    APPROVED = "approved"
    CANCELED = "canceled"
    EXPIRED = "expired"
    MAX_ATTEMPTS_REACHED = "max_attempts_reached"


class DeliveryStatus(StrEnum):
    """Where the newest mail of a verification stands."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    REJECTED = "rejected"
    ABANDONED = "abandoned"


FAILED = frozenset({DeliveryStatus.REJECTED, DeliveryStatus.ABANDONED})
OWED = frozenset({DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.DEFERRED})

_ENDED_SENTENCES = {
    Status.APPROVED: words("This address is verified already."),
    Status.CANCELED: words("This code was canceled and no longer works. Ask for a new one."),
    Status.EXPIRED: words("This code has expired. Ask for a new one."),
    Status.MAX_ATTEMPTS_REACHED: words(
        "A wrong code was entered too many times, so the code no longer works. Ask for a new one."
    ),
}


@dataclass(frozen=True)
class Delivery:
    """The newest mail of a verification: how far it is on its way to the relay."""

    number: int
    status: DeliveryStatus
    tries: int = 0
    queued_at: float = 0.0
    next_try_at: float | None = None
    sent_at: float | None = None
    relay_reply: str = ""
    ambiguous: int = 0
    """How often a relay may have taken it, but gave no answer."""


@dataclass(frozen=True)
class Verification:
    """One proof of one address."""

    id: str
    address: str
    key_id: str
    created_at: float
    expires_at: float
    delivery: Delivery
    decided: Status = Status.PENDING
    check_attempts: int = 0
    sends: int = 1
    last_sent_at: float = 0.0
    resent_by: str = ""
    """The requests by which the mail was asked for again, as `domain/requests.py` writes them, separated by blanks."""
    started_by: str = ""
    """The mark of who started it (domain/callers.py); empty where an older release wrote it."""
    started_with: str = ""
    """The fingerprint of what the request that started it said beside the address; empty where nobody asked for it."""
    repeated: bool = field(default=False, compare=False)
    """Whether what was asked for had been asked for before, by the same request; nothing of the record."""
    language: str = ""
    """The language of its mails, such as `ko`; empty is English."""
    http_request_id: str = ""
    """The request that started it, as the log names it."""

    def status(self, now: float, rules: Rules) -> Status:
        """Return the status at `now`."""
        if self.decided is not Status.PENDING:
            return self.decided
        if now >= self.expires_at:
            return Status.EXPIRED
        if self.check_attempts >= rules.max_check_attempts:
            return Status.MAX_ATTEMPTS_REACHED
        return Status.PENDING

    def check_attempts_remaining(self, rules: Rules) -> int:
        """Return how many codes may still be typed."""
        return max(0, rules.max_check_attempts - self.check_attempts)

    def resend_available_at(self, rules: Rules) -> float | None:
        """Return when the mail may be asked for again, or None where it may not be any more."""
        if self.sends >= rules.max_sends or self.decided is not Status.PENDING:
            return None
        if self.check_attempts >= rules.max_check_attempts:
            return None
        available_at = self.last_sent_at + rules.resend_wait_s(self.sends)
        return available_at if available_at < self.expires_at else None

    def require_pending(self, now: float, rules: Rules) -> None:
        """Raise VerificationEnded, with the sentence for its state, unless it is pending at `now`."""
        status = self.status(now, rules)
        if status is not Status.PENDING:
            raise VerificationEnded(ended_sentence(status))

    def require_resendable(self, now: float, rules: Rules) -> None:
        """Raise VerificationEnded, TooManySends or ResendTooSoon unless a resend is allowed at `now`."""
        self.require_pending(now, rules)
        if self.sends >= rules.max_sends:
            raise TooManySends(self.sends)
        wait_s = self.last_sent_at + rules.resend_wait_s(self.sends) - now
        if wait_s > 0:
            raise ResendTooSoon(math.ceil(wait_s))


def ended_sentence(status: Status) -> Words:
    """Return the sentence for people about a verification that has ended."""
    return _ENDED_SENTENCES[status]
