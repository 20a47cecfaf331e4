"""The open connections to one relay, shared out to one mail at a time.

The connection used last is given out first, so that a quiet worker keeps one warm and lets the others
go. A relay that takes only so many connections at once says 421 to one more: while others are open
that is a limit and no failure. It is remembered for a while, in which nothing beyond it is opened and
whoever needs a connection waits for one of those there are.
"""

from __future__ import annotations

import ssl
import threading
import time

from workers.smtp.connection import RelayConnection
from workers.smtp.relay_settings import RelaySettings

_REMEMBER_LIMIT_S = 20.0


class Connections:
    """Thread-safe."""

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None) -> None:
        """Opens nothing: a connection opens itself when it first has a mail."""
        self._settings = settings
        self._context = context
        self._changed = threading.Condition()
        self._idle: list[RelayConnection] = []
        self._in_use: set[RelayConnection] = set()
        self._limit: int | None = None
        self._limit_ends_at = 0.0
        self._closed = False

    def take(self) -> RelayConnection | None:
        """A connection for one mail; None when the relay's limit leaves none within the command timeout."""
        with self._changed:
            if not self._changed.wait_for(self._may_give, self._settings.command_timeout_s):
                return None
            connection = self._idle.pop() if self._idle else RelayConnection(self._settings, self._context)
            self._in_use.add(connection)
            return connection

    def put_back(self, connection: RelayConnection) -> None:
        """Keep it for the next mail if it is still open."""
        with self._changed:
            self._in_use.discard(connection)
            keep = connection.host is not None and not self._closed
            if keep:
                self._idle.append(connection)
            self._changed.notify()
        if not keep:
            connection.close()

    def learn_limit(self) -> bool:
        """The relay took no further connection: whether the ones there are will do for a while."""
        with self._changed:
            if not self._in_use and not self._idle:
                return False
            # Those still connecting may be refused like us; but one connection is always allowed.
            there = len(self._idle) + sum(c.host is not None for c in self._in_use)
            self._limit = max(1, there)
            self._limit_ends_at = time.monotonic() + _REMEMBER_LIMIT_S
            return True

    def open_now(self) -> int:
        """How many are open or being opened."""
        with self._changed:
            return len(self._in_use) + len(self._idle)

    def close_idle(self) -> None:
        """Close those that stood unused for too long."""
        now = time.monotonic()
        with self._changed:
            old = [c for c in self._idle if c.idle_too_long(now)]
            self._idle = [c for c in self._idle if c not in old]
            self._changed.notify_all()
        for connection in old:
            connection.close()

    def close(self) -> None:
        """Close the idle ones now, those in use when they come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _may_give(self) -> bool:
        if self._idle or self._limit is None:
            return True
        if time.monotonic() > self._limit_ends_at:
            self._limit = None  # perhaps it takes more by now
            return True
        return len(self._in_use) < self._limit
