"""The pool of connections to the master: lent, taken back, and hung up on when the master moves."""

from __future__ import annotations

import time
from typing import Any

import redis

from sentinel.direct_connection import connection_arguments
from sentinel.endpoints import Endpoint
from sentinel.link.connections import MasterConnection
from sentinel.link.directory import Directory
from sentinel.link.failover_signal import FailoverSignal
from sentinel.link.rogue_detector import RogueDetector

# A connection whose last exchange ended so lately is lent again without a look at its socket: nothing was left there, and
# hardly anybody has closed it meanwhile.
FRESH_FOR_S = 0.5


class MasterPool(redis.ConnectionPool):
    """Lends connections to the master, and lets nobody write while a replica is being promoted."""

    def __init__(
        self,
        directory: Directory,
        failover_signal: FailoverSignal,
        rogue_detector: RogueDetector,
        *,
        timeout_s: float,
        max_connections: int,
    ) -> None:
        self._failover_signal = failover_signal
        super().__init__(
            connection_class=MasterConnection,
            max_connections=max_connections,
            directory=directory,
            rogue_detector=rogue_detector,
            socket_timeout=timeout_s,
            socket_connect_timeout=directory.access.node_connect_timeout_s,
            socket_keepalive=True,
            **connection_arguments(directory.access.node_login, directory.access.tls),
        )

    def get_connection(self, *args: Any, **arguments: Any) -> Any:  # noqa: ARG002 - redis-py's signature
        """Return a connected connection; waits while writes are held (see FailoverSignal).

        As redis-py's own does it, without what that has for deprecated arguments and metrics of its own.

        Raises:
            DeadlinePassed: the request has no more time.
        """
        self._failover_signal.wait_while_held()
        self._checkpid()
        with self._lock:
            free = self._available_connections
            connection: Any = free.pop() if free else self.make_connection()
            self._in_use_connections.add(connection)
        try:
            connection.connect()
            if time.monotonic() - connection.exchanged_at > FRESH_FOR_S and _is_spoiled(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        self._checkpid()
        with self._lock:
            # Those that a fork has left behind, or another pool's, are in no list.
            if connection in self._in_use_connections:
                self._in_use_connections.remove(connection)
                self._available_connections.append(connection)

    def hang_up_except(self, master: Endpoint) -> int:
        """Shut down every socket that does not lead to `master`; return how many there were."""
        with self._lock:
            connections = [*self._available_connections, *self._in_use_connections]
        elsewhere = [each for each in connections if each.is_connected and each.endpoint != master]
        for connection in elsewhere:
            connection.hang_up()
        return len(elsewhere)


def _is_spoiled(connection: MasterConnection) -> bool:
    """Return whether the socket was closed at the other end, or holds what nobody asked for."""
    try:
        return bool(connection.can_read())
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        return True
