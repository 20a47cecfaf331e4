"""The connection to one sentinel over which it announces what happens to the master.

The channels are Sentinel's (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/,
"Pub/Sub messages").
"""

from __future__ import annotations

import time
from typing import Any

import redis
from redis import ResponseError

from sentinel.access import Access
from sentinel.backoff import Backoff
from sentinel.direct_connection import direct_connection
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of, translate
from sentinel.errors import TransientError
from sentinel.link.resolver import ResolvingConnection
from sentinel.master_events import FAILOVER_TRIED, REBOOTED, SEEN_DOWN, SEEN_UP
from sentinel.protocol import fields_in, flags_of

SWITCH_MASTER = "+switch-master"
# What the leader of a failover says first: from here on the old master accepts what will be lost.
SELECTED_REPLICA = "+selected-slave"
# What it says last, when the replica took over and when it gave up.
FAILOVER_ENDED = frozenset({"+failover-end", "+failover-end-for-timeout"})
FAILOVER_ABORTED = frozenset(
    {
        "-failover-abort-no-good-slave",
        "-failover-abort-not-elected",
        "-failover-abort-slave-timeout",
        "-failover-abort-x-sdown",
    }
)
# What only the history of the master is made of.
TOLD = frozenset({SEEN_DOWN, SEEN_UP, FAILOVER_TRIED, REBOOTED})
CHANNELS = (SWITCH_MASTER, SELECTED_REPLICA, *sorted(FAILOVER_ENDED | FAILOVER_ABORTED | TOLD))
PING_EVERY_S = 5.0

Message = tuple[str, str]


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
        self._early: list[Message] = []
        self._pinged_at: float | None = None
        self._last_reply_at = 0.0

    def subscribe(self) -> Any:
        """Connect and subscribe; return the socket. Raises TransientError or PermanentError."""
        connection = direct_connection(
            self.endpoint,
            self._access.sentinel_login,
            self._access.tls,
            self._access.sentinel_timeout_s,
            ResolvingConnection,
        )
        try:
            connection.connect()
            # Before subscribing, which allows no other questions; a failover that begins right now selects
            # its replica later than that.
            self.leads_failover = self._leads_failover(connection)
            self._early = self._subscribe_to_all(connection)
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
    def _subscribe_to_all(connection: Any) -> list[Message]:
        """Subscribe to each channel by itself; return the messages that arrived meanwhile."""
        for channel in CHANNELS:
            connection.send_command("SUBSCRIBE", channel)
        messages, unanswered = [], list(CHANNELS)
        while unanswered:
            try:
                reply = connection.read_response()
            except Exception as error:
                # A user with fewer rights still gets the other channels; without the first one the connection
                # is of no use.
                if unanswered[0] == SWITCH_MASTER or kind_of(error) is not ErrorKind.REFUSED:
                    raise
            else:
                if message := _message_in(reply):
                    messages.append(message)
                    continue
            unanswered.pop(0)
        return messages

    def messages(self) -> list[Message]:
        """Read what has arrived: channel and text of each message. Raises OSError or a redis error."""
        found = self.early_messages()
        while True:
            try:
                reply = self._connection.read_response(disconnect_on_error=False)
            except redis.TimeoutError:
                # A part of a message, or a word of TLS itself; `check_alive` ends it if the rest never comes.
                return found
            self._last_reply_at, self._pinged_at = time.monotonic(), None
            if message := _message_in(reply):
                found.append(message)
            if not self._connection.can_read(timeout=0):
                return found

    def early_messages(self) -> list[Message]:
        """Return the messages that arrived while the channels were being subscribed to."""
        found, self._early = self._early, []
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


def _message_in(reply: object) -> Message | None:
    """Read a message: its channel and its text."""
    if isinstance(reply, list) and len(reply) == 3 and reply[0] == "message":
        return str(reply[1]), str(reply[2])
    return None
