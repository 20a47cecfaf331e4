"""Who is logged in at the operators' page: a signed cookie of its own, which needs no Redis to be believed.

It ends after hours, at the logout, and when the password or all secret keys change. A logout reaches other processes by
Redis; while that is away, a copy of the cookie that somebody kept counts until it ends by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from flask import Response, request
from itsdangerous import BadData, URLSafeTimedSerializer

from verifier.settings import Settings

LIFE_S = 12 * 3600
_COOKIE = "verifier_ops"


@dataclass(frozen=True)
class Session:
    """One login; `ends_at` is a Unix time in seconds."""

    id: str
    ends_at: float


class Sessions:
    """Makes and reads the cookies of one app."""

    def __init__(self, settings: Settings) -> None:
        password = settings.ops_password.encode()
        # The newest key signs, which itsdangerous wants to stand last.
        keys = [hmac.digest(key, password, hashlib.sha256) for key in settings.keys.derive_all("ops session")]
        self._serializer = URLSafeTimedSerializer(keys[::-1], salt="operators")

    def begin(self, response: Response) -> None:
        """Log in whoever gets this answer."""
        token = self._serializer.dumps(secrets.token_hex(16))
        response.set_cookie(
            _name(),
            token if isinstance(token, str) else token.decode(),
            max_age=LIFE_S,
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )

    def of_this_request(self) -> Session | None:
        """Return who asks; None for a stranger."""
        try:
            found, since = self._serializer.loads(
                request.cookies.get(_name(), ""), max_age=LIFE_S, return_timestamp=True
            )
        except BadData:
            return None
        return Session(str(found), since.timestamp() + LIFE_S)


def forget(response: Response) -> None:
    """Take the cookie out of the browser that gets this answer."""
    response.delete_cookie(_name(), secure=request.is_secure, httponly=True, samesite="Strict")


def _name() -> str:
    """Return the cookie's name; a browser takes one that begins with `__Host-` from this very host and over TLS only."""
    return f"__Host-{_COOKIE}" if request.is_secure else _COOKIE
