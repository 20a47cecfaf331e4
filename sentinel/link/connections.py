"""Connections that follow the master.

A connection asks the directory where the master is, verifies with ROLE that the node agrees, and turns
whatever means "not your master" into a typed error that drops the socket. A dropped connection never
goes back to its old address by itself: the next use asks again.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import redis

from sentinel.direct_connection import connection_arguments
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, drops_socket, kind_of, translate
from sentinel.errors import AccessRefused, TransientError
from sentinel.link.directory import Directory
from sentinel.link.failover_signal import FailoverSignal
from sentinel.link.rogue_detector import RogueDetector
from sentinel.protocol import role_in

NOWHERE = Endpoint("unconnected", 0)


class MasterConnection(redis.Connection):
    """One socket to the master, wherever it is when the socket is opened."""

    def __init__(self, *, directory: Directory, rogue_detector: RogueDetector, **arguments: Any) -> None:
        self._directory = directory
        self._rogue_detector = rogue_detector
        self.endpoint = NOWHERE
        super().__init__(**arguments)

    def connect(self) -> None:
        """Connect if there is no socket. Raises TransientError or PermanentError."""
        self.connect_check_health()

    def connect_check_health(
        self,
        check_health: bool = True,
        retry_socket_connect: bool = True,  # noqa: ARG002 - redis-py's signature; nothing is retried in here
    ) -> None:
        """Connect if there is no socket; redis-py calls this whenever it finds the socket gone."""
        if self.is_connected:
            return
        self.endpoint = self._directory.master()
        # Without invalidating: the sentinels were asked when it failed, not by each who comes meanwhile.
        self._directory.cooldowns.admit(self.endpoint)
        self.host, self.port = self.endpoint
        try:
            super().connect_check_health(check_health=check_health, retry_socket_connect=False)
        except Exception as error:
            self.disconnect()
            translated = translate(error, self.endpoint)
            self._directory.cooldowns.failed(self.endpoint, str(translated))
            self._directory.invalidate(self.endpoint)
            raise translated from error
        self._directory.cooldowns.worked(self.endpoint)
        self._rogue_detector.found_master()

    def _verify_role(self) -> None:
        """Ask the node itself (`ROLE`, Redis 2.8.12): Sentinel may not have noticed yet, or be a stale minority."""
        self.send_command("ROLE", check_health=False)
        try:
            reply = super().read_response()
        except redis.exceptions.NoPermissionError as error:
            raise AccessRefused(
                f"{self.endpoint} does not let us ask its ROLE: {error}. Add +role to the user's rights."
            ) from error
        role = role_in(reply)
        if role is None:
            raise TransientError(f"{self.endpoint} answers ROLE with something that is no role.")
        if role.follows is not None:
            raise self._rogue_detector.demoted(self.endpoint, role.follows)

    def read_response(self, *args: Any, **arguments: Any) -> Any:
        """Read a reply; an error that means "not your master" drops the socket and comes back typed."""
        try:
            return super().read_response(*args, **arguments)
        except Exception as error:
            kind = kind_of(error)
            if kind is ErrorKind.ANSWER or self.endpoint is NOWHERE:
                raise
            if drops_socket(kind):
                self.disconnect()
                self._directory.invalidate(self.endpoint)
            raise translate(error, self.endpoint) from error

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send; connects first where there is no socket, and always to the master of this moment."""
        try:
            super().send_packed_command(command, check_health=check_health)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._directory.invalidate(self.endpoint)
            raise translate(error, self.endpoint) from error

    def hang_up(self) -> None:
        """Wake whoever waits on the socket; called from another thread.

        Only shuts it down: closing would give its descriptor to somebody else while it is still in use.
        """
        sock = self._get_socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Log in, then verify the role: before redis-py's callbacks, with which a PubSub subscribes anew."""
        super().on_connect_check_health(check_health=check_health)
        self._verify_role()


class MasterPool(redis.ConnectionPool):
    """A pool of such connections, which lets nobody write while a replica is being promoted."""

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
            **connection_arguments(directory.access.node_login),
        )

    def get_connection(self, *args: Any, **arguments: Any) -> Any:
        """Return a connected connection; waits while writes are held (see FailoverSignal)."""
        self._failover_signal.wait_while_held()
        return super().get_connection(*args, **arguments)

    def hang_up_except(self, master: Endpoint) -> int:
        """Shut down every socket that does not lead to `master`; return how many there were."""
        with self._lock:
            connections = [*self._available_connections, *self._in_use_connections]
        elsewhere = [each for each in connections if each.is_connected and each.endpoint != master]
        for connection in elsewhere:
            connection.hang_up()
        return len(elsewhere)
