"""What becomes of a delivery that an operator wants to have tried again, in words."""

from __future__ import annotations

_REFUSALS = {
    "gone": "its verification is unknown, or ended so long ago that nothing could be sent for it",
    "superseded": "the person asked for the mail again, and delivery {number} took its place",
    "approved": "the address is verified already",
    "canceled": "the verification was canceled",
    "max_attempts_reached": "its code was typed wrong too often and is not valid any more",
    "expired": "its code has expired",
    "too late": "its code lives for less than {least_life_s:g} seconds more, too little to be mailed",
    "malformed": "its record in Redis lacks a field or has a wrong value in one",
    "sent": "it was sent: the relay has accepted it",
}
ON_ITS_WAY = {
    "requeued": "is due now.",
    "queued": "is in the queue already.",
    "sending": "is being sent at the moment.",
}


def why_not_revived(what: str, number: int, least_life_s: float) -> str:
    """Return why a delivery is not tried again, to stand in a sentence; `what` is what the store said."""
    return _REFUSALS[what].format(number=number, least_life_s=least_life_s)
