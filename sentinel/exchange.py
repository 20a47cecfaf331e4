"""Commands and their replies on a plain socket, with as little as it takes: whoever waits for a yes waits for this.

redis-py goes through six calls for each reply. And a socket with a time limit of Python's asks the system for leave before
each call, whereupon other threads have the interpreter; here the system itself keeps the limit (SO_RCVTIMEO and
SO_SNDTIMEO, socket(7)). Only on Linux, since the limit is written as its 64-bit kernels read it, and not with TLS, which
has a layer between that knows nothing of it.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import redis
from hiredis import Reader
from redis.connection import DefaultParser
from redis.exceptions import InvalidResponse

_AT_ONCE_BYTES = 65536
_SYSTEM_KEEPS_LIMITS = sys.platform.startswith("linux") and struct.calcsize("l") == 8


def is_possible_on(sock: socket.socket) -> bool:
    """Return whether commands can be exchanged like this on a socket."""
    return _SYSTEM_KEEPS_LIMITS and type(sock) is socket.socket


class Exchange:
    """The exchange of commands and replies on one connected socket."""

    def __init__(self, sock: socket.socket, allowed_s: Callable[[], float | None]) -> None:
        """Take a socket that `is_possible_on`.

        Args:
            sock: connected.
            allowed_s: returns for how many seconds the next call of the system may wait, more than 0; None is for ever.
        """
        self.sock = sock
        self._allowed_s = allowed_s
        self._limit_s: float | None = -1.0
        self._reader = Reader(protocolError=InvalidResponse, replyError=DefaultParser.parse_error)

    def replies(self, packed: bytes, count: int) -> list[Any]:
        """Send packed commands and return as many replies, error replies among them as redis-py's exceptions.

        Args:
            packed: the commands in Redis's protocol, RESP 2.
            count: how many replies they have; none is on its way yet.

        Raises:
            redis.ConnectionError, redis.TimeoutError, InvalidResponse: the socket is of no more use.
        """
        try:
            # Whoever waits in another way on this socket has a limit of Python's set.
            if self.sock.gettimeout() is not None:
                self.sock.settimeout(None)
            self._keep_limit()
            self.sock.sendall(packed)
            return self._read(count)
        except BlockingIOError:
            raise redis.TimeoutError("Timeout talking to the server") from None
        except OSError as error:
            raise redis.ConnectionError(f"Error while talking to the server: {error.args}") from error

    def _keep_limit(self) -> None:
        limit_s = self._allowed_s()
        if limit_s != self._limit_s:
            # 0 would be no limit.
            microseconds = 0 if limit_s is None else max(1, int(limit_s * 1_000_000))
            limit = struct.pack("ll", *divmod(microseconds, 1_000_000))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self._limit_s = limit_s

    def _read(self, count: int) -> list[Any]:
        reader, replies = self._reader, list[Any]()
        while len(replies) < count:
            self._keep_limit()
            data = self.sock.recv(_AT_ONCE_BYTES)
            if not data:
                raise redis.ConnectionError("Connection closed by server.")
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        if len(replies) > count or reader.has_data():
            raise InvalidResponse("More replies came than commands were sent.")
        return replies
