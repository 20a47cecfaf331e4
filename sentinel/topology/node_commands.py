"""Orders and questions to single processes, by name: what operators' commands are made of.

One connection to each process is kept, asked by one thread at a time, and never retried behind the caller's
back: an order that may have been carried out must not be sent twice by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from redis import RedisError

from sentinel.access import Login
from sentinel.direct_connection import direct_connection
from sentinel.endpoints import Endpoint
from sentinel.error_classes import translate
from sentinel.errors import AccessRefused
from sentinel.tls import Tls

Words = Sequence[str]
Target = TypeVar("Target")
Answer = TypeVar("Answer")


class NodeCommands(AbstractContextManager["NodeCommands"]):
    """Commands to processes that share one login."""

    def __init__(self, login: Login, *, timeout_s: float, tls: Tls | None = None) -> None:
        """Connect to nobody yet; `timeout_s` is what one reply or one connection may take, in seconds."""
        self._login = login
        self._timeout_s = timeout_s
        self._tls = tls
        self._connections: dict[Endpoint, Any] = {}

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.disconnect()

    def ask(self, endpoint: Endpoint, *words: str) -> Any:
        """Send a command and return its reply.

        Raises:
            TransientError: the process does not answer; the next question connects anew.
            PermanentError: it refuses us.
            redis.ResponseError: its answer is an error of this one command.
        """
        return self._exchange(endpoint, [words])[0]

    def ask_all(self, endpoints: Iterable[Endpoint], *words: str) -> dict[Endpoint, Any]:
        """Ask all at once, so that a hung one costs its timeout once; an error stands in place of a reply."""
        return dict(at_once(lambda each: (each, self.reply_or_error(each, words)), endpoints))

    def transact(self, endpoint: Endpoint, orders: Sequence[Words]) -> list[Any]:
        """Send orders as one transaction; an error stands in place of the reply of an order that failed.

        Raises:
            RedisError: as `ask` does; then none of the orders, or without an answer perhaps all, were done.
        """
        replies = self._exchange(endpoint, [("MULTI",), *orders, ("EXEC",)])[-1]
        assert isinstance(replies, list)  # noqa: S101 - for the type checker: nothing is watched
        return replies

    def rehearse(self, endpoint: Endpoint, orders: Sequence[Words]) -> list[str]:
        """Return the rights this user lacks for these orders, without carrying any out.

        Redis checks rights when a transaction takes an order in, not only when it runs it
        (https://redis.io/docs/latest/develop/interact/transactions/, "Errors inside a transaction").

        Raises:
            Backpressure: Redis takes no transaction at all, because its memory is full.
            RedisError: as `ask` does.
        """
        self.ask(endpoint, "MULTI")
        replies = [self.reply_or_error(endpoint, order) for order in orders]
        self.ask(endpoint, "DISCARD")
        for reply in replies:
            if isinstance(reply, RedisError) and not isinstance(reply, AccessRefused):
                raise reply
        return [
            right_to(order)
            for order, reply in zip(orders, replies, strict=True)
            if isinstance(reply, AccessRefused)
        ]

    def reply_or_error(self, endpoint: Endpoint, words: Words) -> Any:
        """Ask a process that may hang up on us, as a node being promoted does; an error stands for its reply."""
        try:
            return self.ask(endpoint, *words)
        except RedisError as error:
            return error

    def _exchange(self, endpoint: Endpoint, commands: Sequence[Words]) -> list[Any]:
        connection = self._connection_to(endpoint)
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_reply_or_refusal(connection) for _ in commands]
        except BaseException as error:  # also Ctrl-C: what is still on its way would answer the next question
            connection.disconnect()
            if isinstance(error, Exception):
                raise translate(error, endpoint) from error
            raise
        for reply in replies:
            if isinstance(reply, Exception):
                raise translate(reply, endpoint) from reply
        return replies

    def _connection_to(self, endpoint: Endpoint) -> Any:
        if endpoint not in self._connections:
            self._connections[endpoint] = direct_connection(endpoint, self._login, self._tls, self._timeout_s)
        return self._connections[endpoint]


def at_once(ask: Callable[[Target], Answer], targets: Iterable[Target]) -> list[Answer]:
    """Ask all targets at the same time, and return the answers in their order."""
    everybody = list(targets)
    with ThreadPoolExecutor(max_workers=max(1, len(everybody)), thread_name_prefix="ask") as executor:
        return list(executor.map(ask, everybody))


def right_to(words: Words) -> str:
    """Return the name of the right to a command as ACL files do: with its subcommand, where it has one."""
    has_subcommand = words[0] in {"ACL", "CLIENT", "CONFIG", "SENTINEL"}
    return "|".join(words[: 2 if has_subcommand else 1]).lower()


def _reply_or_refusal(connection: Any) -> Any:
    """Read a reply; the error of one command leaves the connection usable, anything else is raised."""
    try:
        return connection.read_response()
    except RedisError as error:
        if connection.is_connected:
            return error
        raise
