"""A connection to one process, by its address: nothing is retried or announced behind the caller's back."""

from __future__ import annotations

import errno
import time
from typing import Any, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sentinel.access import Login
from sentinel.endpoints import Endpoint
from sentinel.tls import Tls, shake_hands

# What a handshake gets at least, when connecting took all the time there was.
LEAST_HANDSHAKE_S = 0.001
_NOBODY_LISTENS = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


class NodeConnection(redis.Connection):
    """A connection of redis-py that speaks TLS where it is given any; connecting and handshake share one limit."""

    def __init__(self, *, tls: Tls | None = None, **arguments: Any) -> None:
        self._tls = tls
        self._has_answered = False
        super().__init__(**arguments)

    def _connect(self) -> Any:
        """Return a connected socket. redis-py's own TLS would read all files anew for each connection."""
        self._has_answered = False
        began_at = time.monotonic()
        sock = self._connect_without_tls()
        if self._tls is None:
            return sock
        timeout_s = self.socket_connect_timeout
        if timeout_s is not None:
            timeout_s = max(LEAST_HANDSHAKE_S, timeout_s - (time.monotonic() - began_at))
        try:
            encrypted = shake_hands(self._tls, sock, Endpoint(self.host, self.port), timeout_s)
        except BaseException:
            sock.close()
            raise
        encrypted.settimeout(self.socket_timeout)
        return encrypted

    def read_response(self, *args: Any, **arguments: Any) -> Any:
        """Read a reply; whoever hangs up without a single one may want TLS, or a certificate, and can't say so."""
        try:
            reply = super().read_response(*args, **arguments)
        except redis.ConnectionError as error:
            self._raise_with_hint(error)
        self._has_answered = True
        return reply

    def send_packed_command(self, *args: Any, **arguments: Any) -> None:
        """Send commands; a server that has hung up by then is asked for no reply any more."""
        try:
            super().send_packed_command(*args, **arguments)
        except redis.ConnectionError as error:
            self._raise_with_hint(error)

    def _raise_with_hint(self, error: redis.ConnectionError) -> NoReturn:
        # Where nobody listens, nobody wants TLS or a certificate.
        never_reached = isinstance(error.__context__, OSError) and error.__context__.errno in _NOBODY_LISTENS
        if not self._has_answered and not never_reached and type(error) is redis.ConnectionError:
            hint = self._hint()
            raise redis.ConnectionError(f"{str(error).rstrip('. ')}; {hint}") from error
        raise error

    def _hint(self) -> str:
        if self._tls is None:
            return "perhaps it speaks only TLS: then turn TLS on in the settings here"
        if self._tls.certificate_file is None:
            return "perhaps it demands a client certificate: then name one and its key in the TLS settings"
        return "perhaps it does not accept our client certificate: then have it signed by an authority that it trusts"

    def _connect_without_tls(self) -> Any:
        return super()._connect()


def connection_arguments(login: Login, tls: Tls | None) -> dict[str, Any]:
    """Return the arguments that all our connections share."""
    return {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # CLIENT SETINFO exists from Redis 7.2 and is no right of ours.
        "driver_info": None,
        "tls": tls,
        **login.arguments(),
    }


def direct_connection(
    endpoint: Endpoint,
    login: Login,
    tls: Tls | None,
    timeout_s: float,
    connection_class: type[NodeConnection] = NodeConnection,
) -> Any:
    """Return an unconnected connection; connecting and each reply may take `timeout_s` seconds."""
    return connection_class(
        host=endpoint.host,
        port=endpoint.port,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        decode_responses=True,
        **connection_arguments(login, tls),
    )
