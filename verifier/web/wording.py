"""What pages say in plain words, from values and `now`: where the mail is, when it can be sent again.

Coarse on purpose: what the relay itself answered is for operators. Times are spans ("in about 20 seconds"),
because the server does not know the time of day where the person is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from verifier.domain.rules import Rules
from verifier.domain.verifications import OWED, Delivery, DeliveryStatus, Verification

LOST_FORM = (
    "This form was open for too long, or your browser keeps no cookies for this site, so nothing was done. "
    "Please send it again."
)
LOST_BUTTON = (
    "This page was open for too long, or your browser keeps no cookies for this site, so nothing was done. "
    "Please press the button again."
)
SENT_AGAIN = "The mail goes out once more, with the same code."

_DELIVERY_SENTENCES = {
    DeliveryStatus.QUEUED: "Your mail is about to be sent.",
    DeliveryStatus.SENDING: "Your mail is being sent right now.",
    DeliveryStatus.SENT: (
        "The mail server has accepted your mail. It can take a minute to arrive. "
        "Please look into the spam folder, too."
    ),
    DeliveryStatus.REJECTED: "The mail server refused this address. Please check it for typos.",
    DeliveryStatus.ABANDONED: "Your mail could not be sent in time. Please start again with a new code.",
}
_TONES = {DeliveryStatus.SENT: "good", DeliveryStatus.REJECTED: "bad", DeliveryStatus.ABANDONED: "bad"}


@dataclass(frozen=True)
class DeliveryWords:
    """Where the mail is. `tone` is waiting, good or bad; nothing more happens to a settled one by itself."""

    sentence: str
    tone: str
    settled: bool


@dataclass(frozen=True)
class ResendWords:
    """Whether the mail can be sent again: `wait_s` is None where it can't be any more."""

    sentence: str
    wait_s: int | None


def describe_delivery(delivery: Delivery, now: float) -> DeliveryWords:
    """Describe where the mail is."""
    settled = delivery.status not in OWED
    return DeliveryWords(_sentence_of(delivery, now), _TONES.get(delivery.status, "waiting"), settled)


def describe_resend(verification: Verification, rules: Rules, now: float) -> ResendWords:
    """Describe from when the mail can be sent again and how often."""
    if verification.sends >= rules.max_sends:
        return ResendWords("The mail was sent as often as is allowed.", None)
    available_at = verification.resend_available_at(rules)
    if available_at is None:
        return ResendWords("The code ends before the mail could be sent again.", None)
    left = times(rules.max_sends - verification.sends)
    wait_s = max(0, math.ceil(available_at - now))
    if wait_s == 0:
        return ResendWords(f"You can have it sent {left} more.", 0)
    return ResendWords(
        f"You can have it sent {left} more, the next time in {count(wait_s, 'second')}.", wait_s
    )


def describe_wrong_code(attempts_left: int) -> str:
    """Describe a wrong code and how many attempts are left."""
    return f"This is not the right code. {describe_attempts(attempts_left)}"


def describe_attempts(attempts_left: int) -> str:
    """Describe how many attempts are left."""
    return f"You have {count(attempts_left, 'attempt')} left."


def soon(seconds: float) -> str:
    """Describe when something happens, rounded so that a screen reader does not read out each second."""
    if seconds <= 5:
        return "in a few seconds"
    if seconds < 55:
        return f"in about {math.ceil(seconds / 10) * 10} seconds"
    return f"in about {count(math.ceil(seconds / 60 - 0.25), 'minute')}"


def masked(address: str) -> str:
    """Return an address such that who knows it recognises it, and nobody else learns it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain[:1]}•••.{domain.rpartition('.')[2]}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def times(number: int) -> str:
    """Return a number as how often."""
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"


def _sentence_of(delivery: Delivery, now: float) -> str:
    if delivery.status is not DeliveryStatus.DEFERRED:
        return _DELIVERY_SENTENCES[delivery.status]
    next_try_at = now if delivery.next_try_at is None else delivery.next_try_at
    return f"Your mail is delayed. We try again {soon(next_try_at - now)}; there is nothing you need to do."
