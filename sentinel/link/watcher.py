"""Who tells us: a thread that is subscribed to every sentinel.

It is an accelerator. When a master moves, it tells the link, which hangs up on the old master and wakes
whoever waits. Apart from the hold of writes during a promotion, everything is right without it, only
slower. The channels are Sentinel's (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/,
"Pub/Sub messages").
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis import ResponseError

from sentinel.access import Access
from sentinel.backoff import Backoff
from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of, translate
from sentinel.errors import PermanentError, TransientError
from sentinel.link.sentinel_client import plain_connection

if TYPE_CHECKING:
    from sentinel.link.master_link import MasterLink

log = logging.getLogger(__name__)

SWITCH_MASTER = "+switch-master"
# What the leader of a failover says first: from here on the old master accepts what will be lost.
SELECTED_REPLICA = "+selected-slave"
CHANNELS = (SWITCH_MASTER, SELECTED_REPLICA)
PING_EVERY_S = 5.0
TICK_S = 0.5


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
        self._heard_at = 0.0

    def subscribe(self) -> Any:
        """Connect and subscribe; give the socket. Raises TransientError or PermanentError."""
        timeout_s = self._access.sentinel_timeout_s
        connection = plain_connection(self.endpoint, self._access.sentinel_login, timeout_s, timeout_s)
        try:
            connection.connect()
            # Before subscribing, which allows no other questions; a failover that begins right now selects
            # its replica later than that.
            self.leads_failover = self._leads_failover(connection)
            for channel in CHANNELS:
                self._subscribe_to(connection, channel)
        except Exception as error:
            connection.disconnect()
            self.next_attempt_at = time.monotonic() + self._backoff.next_s()
            raise translate(error, self.endpoint) from error
        self._connection, self._pinged_at, self._heard_at = connection, None, time.monotonic()
        self._backoff.reset()
        return connection._sock  # noqa: SLF001 - redis-py has no public way to wait on several connections

    def _leads_failover(self, connection: Any) -> bool:
        connection.send_command("SENTINEL", "MASTER", self._access.master_name)
        try:
            reply = connection.read_response()
        except ResponseError:  # it knows no such master, or we may not ask: then it holds nothing up
            return False
        told = dict(zip(reply[::2], reply[1::2], strict=False)) if isinstance(reply, list) else {}
        return "failover_in_progress" in str(told.get("flags", ""))

    @staticmethod
    def _subscribe_to(connection: Any, channel: str) -> None:
        connection.send_command("SUBSCRIBE", channel)
        try:
            connection.read_response()
        except Exception as error:
            # A user with fewer channels still gets the ones it may hear; without the switch it is no use.
            if channel == SWITCH_MASTER or kind_of(error) is not ErrorKind.REFUSED:
                raise

    def messages(self) -> list[tuple[str, str]]:
        """Read what has arrived: channel and text of each message. Raises OSError or a redis error."""
        found = []
        while True:
            reply = self._connection.read_response()
            self._heard_at, self._pinged_at = time.monotonic(), None
            if isinstance(reply, list) and len(reply) == 3 and reply[0] == "message":
                found.append((str(reply[1]), str(reply[2])))
            if not self._connection.can_read(timeout=0):
                return found

    def check_alive(self, now: float) -> None:
        """Ping a quiet sentinel; raise TransientError where it leaves the last ping unanswered."""
        if self._pinged_at is not None and now - self._pinged_at > PING_EVERY_S:
            raise TransientError(f"Sentinel {self.endpoint} is connected but does not answer.")
        if self._pinged_at is None and now - self._heard_at > PING_EVERY_S:
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
        """Tell whether there is a connection."""
        return self._connection is not None


class Watcher:
    """The thread. Start it after forks; `stop` ends it within a moment."""

    def __init__(self, link: MasterLink) -> None:
        self._link = link
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._wake_writer, self._wake_reader = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._subscriptions: dict[Endpoint, Subscription] = {}
        self._reported: dict[Endpoint, str] = {}
        self._has_asked_all = False
        self._thread = threading.Thread(target=self._run, name="sentinel-watcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; safe to call twice."""
        self._stopping.set()
        with contextlib.suppress(OSError):  # it has ended already
            self._wake_writer.send(b".")
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def subscribed_to(self) -> list[Endpoint]:
        """Give the sentinels that can tell us of a move at this moment."""
        return [endpoint for endpoint, each in list(self._subscriptions.items()) if each.subscribed]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tick()
            except Exception:
                # Whatever it is, a dead watcher would be noticed only in the next failover.
                log.exception("The sentinel watcher stumbled and goes on")
                self._stopping.wait(1.0)
        for subscription in self._subscriptions.values():
            subscription.drop()
        self._selector.close()
        self._wake_writer.close()
        self._wake_reader.close()

    def _tick(self) -> None:
        self._subscribe_where_due()
        self._end_first_hold()
        for key, _ in self._selector.select(timeout=TICK_S):
            if key.data is not None:
                self._guarded(key.data, self._hear)
        now = time.monotonic()
        for subscription in list(self._subscriptions.values()):
            if subscription.subscribed:
                self._guarded(subscription, lambda each: each.check_alive(now))

    def _subscribe_where_due(self) -> None:
        for endpoint in self._link.directory.sentinels():
            subscription = self._subscriptions.setdefault(endpoint, Subscription(endpoint, self._link.access))
            if not subscription.subscribed and time.monotonic() >= subscription.next_attempt_at:
                self._guarded(subscription, self._join)

    def _end_first_hold(self) -> None:
        """Let this process write for the first time, unless a failover that began before it is still on."""
        if not self._has_asked_all:
            self._has_asked_all = True
            if not any(each.leads_failover for each in self._subscriptions.values()):
                self._link.failover_signal.release()

    def _join(self, subscription: Subscription) -> None:
        self._selector.register(subscription.subscribe(), selectors.EVENT_READ, subscription)
        self._reported.pop(subscription.endpoint, None)
        # The master may have moved while nobody was listening.
        self._link.look_again()
        if subscription.leads_failover:
            self._link.failover_signal.hold()

    def _hear(self, subscription: Subscription) -> None:
        for channel, text in subscription.messages():
            self._act_on(channel, text.split(" "))

    def _act_on(self, channel: str, words: list[str]) -> None:
        name = self._link.access.master_name
        if (
            channel == SWITCH_MASTER
            and len(words) == 5
            and words[0] == name
            and words[2].isdigit()
            and words[4].isdigit()
        ):
            replaced, master = Endpoint(words[1], int(words[2])), Endpoint(words[3], int(words[4]))
            self._link.master_moved(master, replaced)
        elif channel == SELECTED_REPLICA and len(words) == 8 and words[5] == name:
            self._link.failover_signal.hold()

    def _guarded(self, subscription: Subscription, step: Callable[[Subscription], None]) -> None:
        """Do a step; on failure drop this sentinel's connection, and say why once."""
        try:
            step(subscription)
        except Exception as error:  # noqa: BLE001 - a sentinel may answer with anything, rubbish included
            self._unregister(subscription)
            subscription.drop()
            self._report(subscription.endpoint, error)

    def _unregister(self, subscription: Subscription) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is subscription:
                self._selector.unregister(key.fileobj)

    def _report(self, endpoint: Endpoint, error: Exception) -> None:
        kind = "permanent" if isinstance(error, PermanentError) else "transient"
        if self._reported.get(endpoint) == kind:
            return
        self._reported[endpoint] = kind
        level = logging.ERROR if kind == "permanent" else logging.DEBUG
        log.log(level, "Sentinel %s can't tell us of failovers: %s", endpoint, error)
