"""The open connections to one relay, shared out to one mail at a time.

The connection used last is given out first, so that a quiet worker keeps one in use and lets the others
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


class ConnectionPool:
    """Thread-safe."""

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None) -> None:
        """Make an empty pool: a connection opens itself when it first has a mail."""
        self._settings = settings
        self._context = context
        self._changed = threading.Condition()
        self._idle: list[RelayConnection] = []  # the one used last is the last
        self._in_use: set[RelayConnection] = set()
        self._limit: int | None = None
        self._limit_ends_at = 0.0
        self._closed = False

    def take(self) -> RelayConnection | None:
        """Return a connection for one mail; None when the limit leaves none within the command timeout."""
        with self._changed:
            if not self._changed.wait_for(self._may_take, self._settings.command_timeout_s):
                return None
            connection = self._idle.pop() if self._idle else RelayConnection(self._settings, self._context)
            self._in_use.add(connection)
            return connection

    def put_back(self, connection: RelayConnection) -> None:
        """Keep a connection for the next mail if it is still open."""
        with self._changed:
            self._in_use.discard(connection)
            keep = connection.host is not None and not self._closed
            if keep:
                self._idle.append(connection)
            self._changed.notify()
        if not keep:
            connection.close()

    def learn_limit(self) -> bool:
        """Note that the relay took no further connection; return whether others are open, to be used for a while."""
        with self._changed:
            if not self._in_use and not self._idle:
                return False
            # Those still connecting may be refused like us; but one connection is always allowed.
            there = len(self._idle) + sum(c.host is not None for c in self._in_use)
            self._limit = max(1, there)
            self._limit_ends_at = time.monotonic() + _REMEMBER_LIMIT_S
            return True

    def close_idle(self, ends_at: float) -> None:
        """Close the connections that were idle for too long, but begin on none after this `time.monotonic()`."""
        while time.monotonic() < ends_at and (connection := self._idle_too_long()):
            connection.close()

    def close(self) -> None:
        """Close the idle ones now, those in use when they come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _idle_too_long(self) -> RelayConnection | None:
        with self._changed:
            if self._idle and self._idle[0].idle_too_long(time.monotonic()):
                return self._idle.pop(0)
            return None

    def _may_take(self) -> bool:
        if self._idle or self._limit is None:
            return True
        if time.monotonic() > self._limit_ends_at:
            self._limit = None  # perhaps it takes more by now
            return True
        return len(self._in_use) < self._limit
