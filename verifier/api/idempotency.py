"""What makes a repeated request the same request (draft-ietf-httpapi-idempotency-key-header): its `Idempotency-Key`.

The draft has it as a quoted string; what Stripe's and other clients send, the same without quotes, is read too, and means
the same. A request without one gets a key made up: a start that is answered with 503 may have been accepted, so
that answer names the key with which a repeat leads to the same verification.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from flask import Response, g, request

from verifier.domain.errors import InvalidIdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST_KEY = 255

# RFC 9651, 3.3.3: a string of structured fields.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")
# Printable, and nothing that could be two keys of two header lines, or a quoted one that was cut off.
_BARE = re.compile(r"[!#-+\--\[\]-~]+")


@dataclass(frozen=True)
class RequestKey:
    """What a repeat is known by."""

    text: str
    is_callers: bool
    """Whether the caller named it; else it was made up."""


def read_key() -> RequestKey:
    """Return the request's key, or one that is made up.

    Raises:
        InvalidIdempotencyKey: the header is there and holds none.
    """
    sent = request.headers.get(HEADER)
    if sent is None:
        g.made_up_key = secrets.token_hex(16)
        return RequestKey(g.made_up_key, is_callers=False)
    text = _unquoted(sent.strip())
    if not 0 < len(text) <= LONGEST_KEY:
        raise InvalidIdempotencyKey(LONGEST_KEY)
    return RequestKey(text, is_callers=True)


def name_made_up_key(response: Response) -> None:
    """Tell with a 503 the key that was made up for the request, if one was."""
    if "made_up_key" in g:
        response.headers[HEADER] = g.made_up_key


def _unquoted(sent: str) -> str:
    """Return the key itself; nothing where it is none."""
    if quoted := _QUOTED.fullmatch(sent):
        return _ESCAPED.sub(r"\1", quoted[1])
    return sent if _BARE.fullmatch(sent) else ""
