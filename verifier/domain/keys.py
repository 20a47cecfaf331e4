"""The secret keys: codes are derived from them, and so are the keys for sessions and forms.

Each key has an id. The first makes new codes; the others still check codes that are on their way, so
that a key can be rotated without a person noticing. What is derived for one purpose says nothing of what
is derived for another.
"""

from __future__ import annotations

import hmac
import re
import secrets as random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

SECRET_BYTES = 32
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class KeyRing:
    """The secret keys by id; `current` names the one that makes new codes."""

    current: str
    secrets: Mapping[str, bytes] = field(repr=False)
    _derived: dict[tuple[str, str], bytes] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What was derived already: there are as many as keys and purposes."""

    def derive(self, key_id: str, purpose: str) -> bytes | None:
        """Return the 32-byte key for a purpose, or None where no key has this id (it was retired)."""
        known = self._derived.get((key_id, purpose))
        if known is not None:
            return known
        secret = self.secrets.get(key_id)
        if secret is None:
            return None
        derived = hmac.digest(secret, f"verifier {purpose}".encode(), "sha256")
        self._derived[key_id, purpose] = derived
        return derived

    def derive_all(self, purpose: str) -> list[bytes]:
        """Return the keys for a purpose of all secrets, the current one first."""
        ordered = [self.current, *(key_id for key_id in self.secrets if key_id != self.current)]
        return [key for key_id in ordered if (key := self.derive(key_id, purpose)) is not None]

    def weak_ids(self) -> list[str]:
        """Return the ids of secrets that can't hold 32 random bytes."""
        return [key_id for key_id, secret in self.secrets.items() if strength_of(secret) < SECRET_BYTES]


def new_secret() -> str:
    """Return a new secret: 32 random bytes in hexadecimal."""
    return random.token_hex(SECRET_BYTES)


def is_key_id(text: str) -> bool:
    """Return whether the text may name a key."""
    return _KEY_ID.fullmatch(text) is not None


def strength_of(secret: bytes) -> int:
    """Return how many random bytes a secret holds at the most.

    A character of hexadecimal holds half a byte, one of base64 or of any other writing three quarters. What is regular
    can be compressed and holds no more than what is left; random bytes can't be compressed. Words that somebody thought
    up are taken for more than they hold.
    """
    by_length = len(secret) // 2 if _HEXADECIMAL.fullmatch(secret) else len(secret) * 3 // 4
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return min(by_length, len(compressor.compress(secret) + compressor.flush()))


def parse_keys(text: str) -> KeyRing:
    """Read `id:secret,id:secret`.

    Raises:
        ValueError: the text names no keys, or a wrong one; the message never holds a secret.
    """
    secrets: dict[str, bytes] = {}
    for number, part in enumerate((part.strip() for part in text.split(",")), start=1):
        key_id, colon, secret = part.partition(":")
        if not colon or not is_key_id(key_id) or not secret:
            raise ValueError(f"entry {number} is not id:secret with an id of letters, digits, _ and -")
        if key_id in secrets:
            raise ValueError(f"the key id {key_id!r} is there twice")
        secrets[key_id] = secret.encode()
    return KeyRing(current=next(iter(secrets)), secrets=secrets)
