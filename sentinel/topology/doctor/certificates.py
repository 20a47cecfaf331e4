"""For how long a process's certificate is valid: read from a handshake of its own, with the settings' own checks."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.tls import Tls, shake_hands

_TIMEOUT_S = 2.0


def days_left(tls: Tls, endpoint: Endpoint) -> float | None:
    """Return for how many days it is valid; None where no handshake comes about."""
    with suppress(OSError, ssl.SSLError, RedisError, ValueError):
        sock = socket.create_connection(endpoint, timeout=_TIMEOUT_S)
        try:
            encrypted = shake_hands(tls, sock, endpoint, _TIMEOUT_S)
            sock = encrypted
            ends = str((encrypted.getpeercert() or {}).get("notAfter", ""))
            return (ssl.cert_time_to_seconds(ends) - time.time()) / 86400
        finally:
            sock.close()
    return None
