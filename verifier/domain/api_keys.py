"""The keys of the JSON API: made once, shown once, and known by their digest alone.

A key is 32 random bytes in writing, so a plain SHA-256 of it is as good as secret: nobody finds a key by trying. What the
settings hold opens nothing, and there is no table to keep. Several keys may have the same name while one is replaced by
the next.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

# So that people, and programs that look for lost secrets, know one when they see it.
PREFIX = "verifier_"
_SECRET_BYTES = 32
_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,38}[A-Za-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKeys:
    """All keys that open the API: the name of each, and its digest."""

    entries: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.entries)

    @property
    def names(self) -> frozenset[str]:
        """Return whose they are."""
        return frozenset(name for name, _ in self.entries)

    def name_of(self, key: str) -> str | None:
        """Return whose key it is, or None where nobody's. All are compared, each in constant time."""
        digest = digest_of(key)
        found = None
        for name, known in self.entries:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def new_api_key() -> str:
    """Return a new random key."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def is_api_key(text: str) -> bool:
    """Return whether the text has the form of a key. One that somebody thought up has not."""
    return _KEY.fullmatch(text) is not None


def digest_of(key: str) -> bytes:
    """Return what the settings hold of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def entry_of(name: str, key: str) -> str:
    """Return the entry for the settings. Raises ValueError for a name that is none."""
    _require_name(name, f"{name!r}")
    return f"{name}:{digest_of(key).hex()}"


def parse_api_keys(text: str) -> ApiKeys:
    """Read `name:sha256,name:sha256`; an empty text is no key.

    Raises:
        ValueError: an entry is wrong; the message names it by its number and holds nothing of it but the name.
    """
    entries: dict[bytes, str] = {}
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    for number, part in enumerate(parts, start=1):
        name, colon, digest = part.partition(":")
        if is_api_key(part) or is_api_key(digest):
            raise ValueError(
                f"entry {number} holds a key itself, which belongs to its user alone; write name:sha256, as "
                "`flask api-keys new NAME` prints it, and make a new key"
            )
        _require_name(name if colon else "", f"entry {number} is not name:sha256; its name")
        if not _DIGEST.fullmatch(digest.lower()):
            raise ValueError(
                f"entry {number} ({name}) has no SHA-256 of 64 hexadecimal digits after the colon; "
                "make a key with: flask api-keys new NAME"
            )
        if bytes.fromhex(digest) in entries:
            raise ValueError(f"entry {number} ({name}) is there twice; each key has one name")
        entries[bytes.fromhex(digest)] = name
    return ApiKeys(tuple((name, digest) for digest, name in entries.items()))


def _require_name(name: str, subject: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{subject} must be 1 to 40 letters, digits, dots, dashes and underscores, "
            "with a letter or digit at both ends"
        )
