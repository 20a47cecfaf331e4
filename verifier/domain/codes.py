"""Codes: derived, never stored.

A code is the HMAC-SHA256 of a secret key over the verification's random id and its address, cut to
decimal digits without bias (words that would favour some digits are skipped). Whoever reads Redis, the
queue or a log learns nothing of it, and a resend carries the same code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from itertools import count

from verifier.domain.errors import MalformedCode
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules

CODE_PURPOSE = "code"
_MESSAGE_PURPOSE = "message id"
_ID = re.compile(r"[0-9a-f]{32}")
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015.]+")
_WORD_BYTES = 8
_WORD_VALUES = 1 << (8 * _WORD_BYTES)


def new_verification_id() -> str:
    """Return a random 128-bit id as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def is_verification_id(text: str) -> bool:
    """Return whether the text has the form of an id."""
    return _ID.fullmatch(text) is not None


def code_of(verification_id: str, address: str, key_id: str, keys: KeyRing, rules: Rules) -> str | None:
    """Return the code of a verification; None where `keys` does not have the key that it was made with."""
    key = keys.derive(key_id, CODE_PURPOSE)
    return None if key is None else derive_code(key, verification_id, address, rules.code_digits)


def message_name_of(verification_id: str, delivery_number: int, key_id: str, keys: KeyRing) -> str | None:
    """Return what names the mail of a delivery, in its Message-ID; None where `keys` lacks the key.

    Every repeat of a delivery has the same. Whoever reads the header, or a relay's log, learns no id from it.
    """
    key = keys.derive(key_id, _MESSAGE_PURPOSE)
    if key is None:
        return None
    return hmac.new(key, f"{verification_id}-{delivery_number}".encode(), hashlib.sha256).hexdigest()[:32]


def derive_code(key: bytes, verification_id: str, address: str, digits: int) -> str:
    """Return the code of a verification as a string of `digits` decimal digits, leading zeros included."""
    values = 10**digits
    limit = _WORD_VALUES - _WORD_VALUES % values
    for block in count():
        message = f"{block}\0{verification_id}\0{address}".encode()
        digest = hmac.new(key, message, hashlib.sha256).digest()
        for start in range(0, len(digest), _WORD_BYTES):
            word = int.from_bytes(digest[start : start + _WORD_BYTES])
            if word < limit:
                return str(word % values).zfill(digits)
    raise AssertionError("unreachable: the blocks never end")


def normalise_typed_code(text: str, digits: int) -> str:
    """Return the digits of a typed code; blanks, dashes and dots between them are dropped.

    Digits of other scripts (full-width, Arabic-Indic ...) count as digits, since keyboards type them.

    Raises:
        MalformedCode: what is left is not `digits` digits; the sentence says what is expected.
    """
    bare = _SEPARATORS.sub("", text) if len(text) <= 64 else text
    if not bare:
        raise MalformedCode(f"Please type the {digits}-digit code from the mail.")
    if not (bare.isdecimal() and len(bare) == digits):
        raise MalformedCode(f"The code is {digits} digits long and has no letters in it.")
    return "".join(str(int(digit)) for digit in bare)


def same_code(left: str, right: str) -> bool:
    """Compare two codes in constant time."""
    return hmac.compare_digest(left, right)
