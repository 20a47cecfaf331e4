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
from verifier.domain.words import words

CODE_PURPOSE = "code"
_MESSAGE_PURPOSE = "message id"
_ID = re.compile(r"[0-9a-f]{32}")
_ONE_SEPARATOR = r"[\s\-\u2010-\u2015.]"
_SEPARATORS = re.compile(rf"{_ONE_SEPARATOR}+")
# A whole mail may be pasted.
LONGEST_PASTE = 4000
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
    """Return the digits of a typed or pasted code: all there is, or the only run of so many digits in a longer text.

    Blanks, dashes and dots between the digits are dropped. Digits of other scripts (full-width, Arabic-Indic ...) count as
    digits, since keyboards type them.

    Raises:
        MalformedCode: there is no such run, or more than one; the sentence says what is expected.
    """
    bare = _SEPARATORS.sub("", text) if len(text) <= LONGEST_PASTE else text
    if not bare:
        raise MalformedCode(words("Enter the %(digits)s-digit code from the email.", digits=digits))
    if not bare.isdecimal() and len(text) <= LONGEST_PASTE:
        bare = _lone_run(text, digits)
    if not (bare.isdecimal() and len(bare) == digits):
        raise MalformedCode(words("Enter the code from the email. It has %(digits)s digits.", digits=digits))
    return "".join(str(int(digit)) for digit in bare)


def _lone_run(text: str, digits: int) -> str:
    """Return the one run of so many digits that stands alone; empty where there is none, or several.

    One that is written together goes before one with separators in it, such as a date. Letters beside it are those of a
    language without blanks, but never Latin ones.
    """
    together = rf"(?<![0-9A-Za-z])(?<!\d)\d{{{digits}}}(?!\d)(?![A-Za-z])"
    apart = rf"(?<![0-9A-Za-z])(?<!\d)(?<!\d{_ONE_SEPARATOR})\d(?:{_ONE_SEPARATOR}?\d){{{digits - 1}}}(?!{_ONE_SEPARATOR}?\d)(?![A-Za-z])"
    found = re.findall(together, text) or re.findall(apart, text)
    different = {_SEPARATORS.sub("", each) for each in found}
    return different.pop() if len(different) == 1 else ""


def same_code(left: str, right: str) -> bool:
    """Compare two codes in constant time."""
    return hmac.compare_digest(left, right)
