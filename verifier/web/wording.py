"""What pages say in plain words, from values and `now`: where the mail is, when it can be sent again.

Coarse on purpose: what the relay itself answered is for operators. Times are spans ("in about 20 seconds"),
because the server does not know the time of day where the person is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from verifier.domain.rules import Rules
from verifier.domain.verifications import FAILED, Delivery, DeliveryStatus, Verification
from verifier.domain.words import Words, counted, words

LOST_FORM = words(
    "This page was open for too long, or your browser blocks cookies for this site, so nothing was done. Send it again."
)
LOST_BUTTON = words(
    "This page was open for too long, or your browser blocks cookies for this site, so nothing was done. "
    "Press the button again."
)
SENT_AGAIN = words("We're sending the email again. The code in it is the same.")

_DELIVERY_SENTENCES = {
    DeliveryStatus.QUEUED: words("Your email is about to be sent."),
    DeliveryStatus.SENDING: words("Your email is being sent right now."),
    DeliveryStatus.SENT: words("The email is on its way. It can take a minute to arrive."),
    DeliveryStatus.REJECTED: words(
        "The email could not be delivered to this address. Check the address for typos."
    ),
    DeliveryStatus.ABANDONED: words("The email could not be sent in time. Ask for a new code."),
}
_SPAM_HINT = words("The email is on its way. If you can't see it yet, look in your spam folder.")
SPAM_HINT_AFTER_S = 30.0
_TONES = {DeliveryStatus.SENT: "good", DeliveryStatus.REJECTED: "bad", DeliveryStatus.ABANDONED: "bad"}


@dataclass(frozen=True)
class DeliveryWords:
    """Where the mail is. `tone` is waiting, good or bad; nothing more happens to a settled one by itself."""

    sentence: Words
    tone: str
    settled: bool


@dataclass(frozen=True)
class ResendWords:
    """Whether the mail can be sent again: `wait_s` is None where it can't be any more."""

    sentence: Words | None
    wait_s: int | None


def describe_delivery(delivery: Delivery, now: float) -> DeliveryWords:
    """Describe where the mail is; a while after it was sent, where else to look for it."""
    if delivery.status is DeliveryStatus.SENT and now - (delivery.sent_at or 0) >= SPAM_HINT_AFTER_S:
        return DeliveryWords(_SPAM_HINT, "good", settled=True)
    settled = delivery.status in FAILED
    return DeliveryWords(_sentence_of(delivery, now), _TONES.get(delivery.status, "waiting"), settled)


def describe_resend(verification: Verification, rules: Rules, now: float) -> ResendWords:
    """Describe from when the mail can be sent again; there is nothing to say where it can be now."""
    if verification.sends >= rules.max_sends:
        return ResendWords(words("We can't send this code any more often."), None)
    available_at = verification.resend_available_at(rules)
    if available_at is None:
        return ResendWords(words("This code expires before we can send it again."), None)
    wait_s = max(0, math.ceil(available_at - now))
    if wait_s == 0:
        return ResendWords(None, 0)
    return ResendWords(words("You can send it again in %(span)s.", span=seconds_in_words(wait_s)), wait_s)


def describe_wrong_code(attempts_left: int) -> Words:
    """Describe a wrong code and how many attempts are left."""
    return words("This is not the right code. %(attempts)s", attempts=describe_attempts(attempts_left))


def describe_attempts(attempts_left: int) -> Words:
    """Describe how many attempts are left."""
    return counted("You have %(count)s attempt left.", "You have %(count)s attempts left.", attempts_left)


def describe_life(expires_in_s: float) -> Words:
    """Describe how long the code still works."""
    minutes = math.floor(expires_in_s / 60 + 0.1)
    if minutes < 1:
        return words("It works for less than a minute.")
    return counted("It works for %(count)s minute.", "It works for %(count)s minutes.", minutes)


def soon(seconds: float) -> Words:
    """Describe when something happens, rounded so that a screen reader does not read out each second."""
    if seconds <= 5:
        return words("in a few seconds")
    if seconds < 55:
        return words("in about %(span)s", span=seconds_in_words(math.ceil(seconds / 10) * 10))
    minutes = math.ceil(seconds / 60 - 0.25)
    return counted("in about %(count)s minute", "in about %(count)s minutes", minutes)


def seconds_in_words(seconds: int) -> Words:
    """Return a number of seconds."""
    return counted("%(count)s second", "%(count)s seconds", seconds)


def masked(address: str) -> str:
    """Return an address such that who knows it recognises it, and nobody else learns it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain[:1]}•••.{domain.rpartition('.')[2]}"


def _sentence_of(delivery: Delivery, now: float) -> Words:
    if delivery.status is not DeliveryStatus.DEFERRED:
        return _DELIVERY_SENTENCES[delivery.status]
    next_try_at = now if delivery.next_try_at is None else delivery.next_try_at
    return words(
        "Your email is delayed. We'll try again %(soon)s. You don't need to do anything.",
        soon=soon(next_try_at - now),
    )
