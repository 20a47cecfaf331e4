"""What makes a repeated request the same request: ids that follow from the request's own key.

A form carries a random token, a caller of the API names an `Idempotency-Key`. From it follow the id of the verification
that a start makes, and the id under which an attempt or a resend is counted, so that a repeat changes nothing.
Nothing of the key itself is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from verifier.domain.keys import KeyRing

_PURPOSE = "request"


def verification_ids_of(keys: KeyRing, scope: str, request_key: str) -> list[str]:
    """Return the id of what a start with this key makes, first by the current secret key, then by each other.

    Args:
        keys: they keep others from naming a verification by guessing a key.
        scope: what a key is unique in, such as the API.
        request_key: the caller's key.
    """
    text = f"{scope}\0{request_key}".encode()
    return [hmac.digest(key, text, "sha256").hex()[:32] for key in keys.derive_all(_PURPOSE)]


def request_id_of(request_key: str) -> str:
    """Return the id under which a request is counted; a new one for a request without a key."""
    return hashlib.sha256(request_key.encode()).hexdigest()[:16] if request_key else secrets.token_hex(8)


def fingerprint_of(keys: KeyRing, text: str, key_id: str = "") -> str:
    """Return what tells a body from another without telling what it says; by the named secret key, or the current one.

    An empty text is returned where there is no such key any more.
    """
    key = keys.derive(key_id or keys.current, _PURPOSE)
    if key is None:
        return ""
    return f"{key_id or keys.current}:{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:12]}"


def resend_mark_of(request_id: str, fingerprint: str) -> str:
    """Return what is kept of a resend: which request it was, and the fingerprint of its body, where there is one."""
    return f"{request_id}={fingerprint}" if fingerprint else request_id


def resend_mark_in(marks: str, request_id: str) -> tuple[bool, str]:
    """Return whether a request is among those of `resent_by`, and the fingerprint of its body."""
    for mark in marks.split():
        found, _, fingerprint = mark.partition("=")
        if found == request_id:
            return True, fingerprint
    return False, ""


def may_be_same_body(keys: KeyRing, text: str | None, fingerprint: str) -> bool:
    """Return whether nothing speaks against it; also where there is nothing, or no key, to compare with."""
    if text is None or key_id_in(fingerprint) not in keys.secrets:
        return True
    return is_same_body(keys, text, fingerprint)


def is_same_body(keys: KeyRing, text: str, fingerprint: str) -> bool:
    """Return whether a fingerprint is of this text; without its key nobody knows, so it is not."""
    again = fingerprint_of(keys, text, key_id_in(fingerprint))
    return bool(again) and hmac.compare_digest(again, fingerprint)


def key_id_in(fingerprint: str) -> str:
    """Return the id of the secret key that a fingerprint was made with."""
    return fingerprint.partition(":")[0]
