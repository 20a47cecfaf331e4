"""What came of the requests of people and programs, as whoever counts them names it.

`Outcomes` counts nothing; `verifier/metrics` has one that does.
"""

from __future__ import annotations

from enum import StrEnum

from verifier.domain.errors import (
    LimitReached,
    QueueFull,
    ServiceUnavailable,
    VerifierError,
)


class Submission(StrEnum):
    """What came of asking for a mail, by a start or a resend."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    """It led to a verification that was pending already."""
    LIMIT = "limit"
    FULL = "full"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


class Judgement(StrEnum):
    """What came of a typed code."""

    RIGHT = "right"
    WRONG = "wrong"
    LIMIT = "limit"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


class Outcomes:
    """Is told of each outcome. Any thread may call it, and waits for it: it must be quick, and must not raise."""

    def submitted(self, result: Submission) -> None:
        """A start came to its end."""

    def resent(self, result: Submission) -> None:
        """Asking for the mail again came to its end."""

    def judged(self, result: Judgement) -> None:
        """A check came to its end."""

    def limit_reached(self, limit: str) -> None:
        """Somebody was refused by the limit of this name."""


def submission_of(error: VerifierError) -> Submission:
    """Return which outcome an error is; one that is the caller's own, whichever, is INVALID."""
    match error:
        case QueueFull():
            return Submission.FULL
        case ServiceUnavailable():
            return Submission.UNAVAILABLE
        case LimitReached():
            return Submission.LIMIT
    return Submission.INVALID


def judgement_of(error: VerifierError) -> Judgement:
    """Return which outcome an error is; one that is the caller's own, whichever, is INVALID."""
    match error:
        case ServiceUnavailable():
            return Judgement.UNAVAILABLE
        case LimitReached():
            return Judgement.LIMIT
    return Judgement.INVALID
