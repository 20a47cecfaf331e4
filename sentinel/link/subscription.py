"""The connection to one sentinel over which it announces what happens to the master.

The channels are Sentinel's (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/,
"Pub/Sub messages").
"""

from __future__ import annotations

import time
from typing import Any

from redis import ResponseError

from sentinel.access import Access
from sentinel.backoff import Backoff
from sentinel.direct_connection import direct_connection
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of, translate
from sentinel.errors import TransientError
from sentinel.protocol import fields_in, flags_of

SWITCH_MASTER = "+switch-master"
# What the leader of a failover says first: from here on the old master accepts what will be lost.
SELECTED_REPLICA = "+selected-slave"
PING_EVERY_S = 5.0


class Subscription:
    """The connection to one sentinel: subscribed, or waiting for its next attempt."""

    def __init__(self, endpoint: Endpoint, access: Access) -> None:
        self.endpoint = endpoint
        self.next_attempt_at = 0.0
        self.leads_failover = False
        """Whether this sentinel was in the middle of promoting a replica when it was subscribed to."""
        self._access = access
        self._backoff = Backoff(first_s=1.0, cap_s=5.0)
        self._connection: Any = None
        self._pinged_at: float | None = None
        self._last_reply_at = 0.0

    def subscribe(self) -> Any:
        """Connect and subscribe; return the socket. Raises TransientError or PermanentError."""
        connection = direct_connection(
            self.endpoint, self._access.sentinel_login, self._access.sentinel_timeout_s
        )
        try:
            connection.connect()
            # Before subscribing, which allows no other questions; a failover that begins right now selects
            # its replica later than that.
            self.leads_failover = self._leads_failover(connection)
            for channel in (SWITCH_MASTER, SELECTED_REPLICA):
                self._subscribe_to(connection, channel)
        except Exception as error:
            connection.disconnect()
            self.next_attempt_at = time.monotonic() + self._backoff.next_s()
            raise translate(error, self.endpoint) from error
        self._connection, self._pinged_at, self._last_reply_at = connection, None, time.monotonic()
        self._backoff.reset()
        return connection._sock  # noqa: SLF001 - redis-py has no public way to wait on several connections

    def _leads_failover(self, connection: Any) -> bool:
        connection.send_command("SENTINEL", "MASTER", self._access.master_name)
        try:
            reply = connection.read_response()
        except ResponseError:  # it knows no such master, or we may not ask: then it holds nothing up
            return False
        return "failover_in_progress" in flags_of(fields_in(reply) or {})

    @staticmethod
    def _subscribe_to(connection: Any, channel: str) -> None:
        connection.send_command("SUBSCRIBE", channel)
        try:
            connection.read_response()
        except Exception as error:
            # A user with fewer rights still gets the other channel; without the first one the connection is of no use.
            if channel == SWITCH_MASTER or kind_of(error) is not ErrorKind.REFUSED:
                raise

    def messages(self) -> list[tuple[str, str]]:
        """Read what has arrived: channel and text of each message. Raises OSError or a redis error."""
        found = []
        while True:
            reply = self._connection.read_response()
            self._last_reply_at, self._pinged_at = time.monotonic(), None
            if isinstance(reply, list) and len(reply) == 3 and reply[0] == "message":
                found.append((str(reply[1]), str(reply[2])))
            if not self._connection.can_read(timeout=0):
                return found

    def check_alive(self, now: float) -> None:
        """Ping a quiet sentinel; raise TransientError where it leaves the last ping unanswered."""
        if self._pinged_at is not None and now - self._pinged_at > PING_EVERY_S:
            raise TransientError(f"Sentinel {self.endpoint} is connected but does not answer.")
        if self._pinged_at is None and now - self._last_reply_at > PING_EVERY_S:
            self._connection.send_command("PING")
            self._pinged_at = now

    def drop(self) -> None:
        """Close the connection and wait a little before the next attempt."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
        self.next_attempt_at = time.monotonic() + self._backoff.next_s()

    @property
    def subscribed(self) -> bool:
        """Return whether there is a connection."""
        return self._connection is not None
