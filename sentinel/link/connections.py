"""Connections that follow the master.

A connection asks the directory where the master is, verifies with ROLE that the node agrees, and turns
whatever means "not your master" into a typed error that drops the socket. A dropped connection never
goes back to its old address by itself: the next use asks again.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import redis

from sentinel.deadline import bounded_s, remaining_s
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, drops_socket, kind_of, translate
from sentinel.errors import AccessRefused, DeadlinePassed, MasterMoved, TransientError
from sentinel.exchange import Exchange, is_possible_on
from sentinel.link.directory import Directory
from sentinel.link.resolver import ResolvingConnection
from sentinel.link.rogue_detector import RogueDetector
from sentinel.protocol import role_in

NOWHERE = Endpoint("unconnected", 0)
# A node that was given less time than this by a request's deadline is not to blame for its silence.
FAIR_TIME_S = 0.5
# What is asked of the system for a reply that may be there already, when the request has no time left.
LEAST_WAIT_S = 0.001


class MasterConnection(ResolvingConnection):
    """One socket to the master, wherever it is when the socket is opened.

    Within a request's deadline nothing on the socket is waited for any longer than the request has left.
    """

    def __init__(self, *, directory: Directory, rogue_detector: RogueDetector, **arguments: Any) -> None:
        self._directory = directory
        self._rogue_detector = rogue_detector
        self._began_at = 0.0
        self.endpoint = NOWHERE
        self.exchanged_at = 0.0
        """When all replies of an exchange were read that was the last to use it; 0 where none was, or it was hung up on."""
        self._exchange: Exchange | None = None
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
        _require_time()
        moves = self._directory.moves
        self.endpoint = self._directory.master()
        # Without invalidating: the sentinels were asked when it failed, not by each who comes meanwhile.
        self._directory.cooldowns.admit(self.endpoint)
        self.host, self.port = self.endpoint
        try:
            self._open(check_health)
        except Exception as error:
            self.disconnect()
            self._directory.observer.connected(worked=False)
            raise self._failure_to_connect(error) from error
        if self._directory.moved_since(moves, away_from=self.endpoint):
            # Whoever hung up on the old master's connections could not see this one yet.
            self.disconnect()
            raise MasterMoved(
                f"The master moved away from {self.endpoint} while a connection was being opened."
            )
        self._directory.cooldowns.worked(self.endpoint)
        self._directory.observer.connected(worked=True)
        self._rogue_detector.found_master()

    def _open(self, check_health: bool) -> None:
        self._began_at = time.monotonic()
        self.socket_connect_timeout = max(
            LEAST_WAIT_S, bounded_s(self._directory.access.node_connect_timeout_s)
        )
        super().connect_check_health(check_health=check_health, retry_socket_connect=False)

    def _failure_to_connect(self, error: Exception) -> Exception:
        """Return the error as it is to be raised, and note it against the node where the node is to blame."""
        if isinstance(error, DeadlinePassed) or self._ran_out_of_time(error):
            return _deadline_passed(self.endpoint)
        translated = translate(error, self.endpoint)
        self._directory.cooldowns.failed(self.endpoint, str(translated))
        self._directory.invalidate(self.endpoint)
        return translated

    def _ran_out_of_time(self, error: Exception) -> bool:
        """Return whether the request's deadline ended this, before the node had a fair time to answer."""
        return (
            isinstance(error, redis.TimeoutError)
            and remaining_s() is not None
            and time.monotonic() - self._began_at
            < min(FAIR_TIME_S, self._directory.access.node_connect_timeout_s)
        )

    def _bound_timeout(self) -> None:
        """Let the socket wait as long as it may."""
        sock = self._get_socket()
        if sock is not None and sock.gettimeout() != (timeout_s := self._allowed_s()):
            sock.settimeout(timeout_s)

    def _allowed_s(self) -> float | None:
        """Return how long the socket may wait: as ever, or as long as the request has left."""
        left_s, timeout_s = remaining_s(), self.socket_timeout
        if left_s is not None and (timeout_s is None or left_s < timeout_s):
            return max(LEAST_WAIT_S, left_s)
        return timeout_s

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
        self._bound_timeout()
        try:
            return super().read_response(*args, **arguments)
        except Exception as error:
            if kind_of(error) is ErrorKind.ANSWER or self.endpoint is NOWHERE:
                raise
            raise self._failure_to_read(error) from error

    def _failure_to_read(self, error: Exception) -> Exception:
        """Return the error as it is to be raised; one that means "not your master" drops the socket."""
        if self._ran_out_of_time(error):
            self.disconnect()
            return _deadline_passed(self.endpoint)
        if drops_socket(kind_of(error)):
            self.disconnect()
            self._directory.invalidate(self.endpoint)
        return translate(error, self.endpoint)

    def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send packed commands and return their replies, errors among them.

        They are typed as those that `read_response` raises, and what means "not your master" drops the socket. Only what
        leaves commands without a reply is raised; replies may be on their way then, which nobody must take for theirs.
        """
        _require_time()
        self.connect()
        try:
            sock = self._get_socket()
            if sock is not None and is_possible_on(sock):
                if self._exchange is None or self._exchange.sock is not sock:
                    self._exchange = Exchange(sock, self._allowed_s)
                self._began_at = time.monotonic()
                replies = self._exchange.replies(packed, count)
            else:
                replies = self._exchange_by_redis_py(packed, count)
        except redis.RedisError as error:
            self.disconnect()
            raise self._failure_to_read(error) from error
        except BaseException:
            self.disconnect()
            raise
        self.exchanged_at = time.monotonic()
        return [self._typed(reply) if isinstance(reply, Exception) else reply for reply in replies]

    def _typed(self, error: Exception) -> Exception:
        return error if kind_of(error) is ErrorKind.ANSWER else self._failure_to_read(error)

    def _exchange_by_redis_py(self, packed: bytes, count: int) -> list[Any]:
        # Its stub knows only tuples of one.
        self.send_packed_command([packed])
        replies: list[Any] = []
        for _ in range(count):
            self._bound_timeout()
            try:
                replies.append(super().read_response())
            except redis.ResponseError as error:
                replies.append(error)
        return replies

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send; connects first where there is no socket, and always to the master of this moment."""
        _require_time()
        # Whoever sends by redis-py may be stopped before the reply, and gives the connection back with that on its way.
        self.exchanged_at = 0.0
        self._bound_timeout()
        self._began_at = time.monotonic()
        try:
            super().send_packed_command(command, check_health=check_health)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if isinstance(error, DeadlinePassed) or self._ran_out_of_time(error):
                raise _deadline_passed(self.endpoint) from error
            self._directory.invalidate(self.endpoint)
            raise translate(error, self.endpoint) from error

    def hang_up(self) -> None:
        """Wake whoever waits on the socket; called from another thread.

        Only shuts it down: closing would give its descriptor to somebody else while it is still in use. And only the
        socket below: `SSLSocket.shutdown` drops the encryption first, so that what is sent meanwhile would go out plainly.
        """
        self.exchanged_at = 0.0
        sock = self._get_socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Log in, then verify the role: before redis-py's callbacks, with which a PubSub subscribes anew."""
        super().on_connect_check_health(check_health=check_health)
        self._verify_role()


def _require_time() -> None:
    if remaining_s() == 0.0:
        raise DeadlinePassed("The time of the request is up.")


def _deadline_passed(node: Endpoint) -> DeadlinePassed:
    return DeadlinePassed(f"The time of the request was up before {node} answered.")
