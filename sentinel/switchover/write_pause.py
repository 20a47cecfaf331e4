"""Holding the writes of one master, for moments only.

`CLIENT PAUSE <ms> WRITE` (https://redis.io/docs/latest/commands/client-pause/, from Redis 6.2 on) makes
clients that write wait, and expires by itself. Each order is short and renewed while it is needed: should the
operator's terminal die, nobody waits for longer than the last one lasts. A renewal only ever extends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.topology.node_commands import NodeCommands

PAUSE_S = 3.0
RENEW_EVERY_S = 0.5


class WritePause:
    """The hold on the writes of one master; use it from one thread."""

    def __init__(
        self, nodes: NodeCommands, master: Endpoint, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._nodes = nodes
        self._master = master
        self._clock = clock
        self._asked_at: float | None = None
        self._lapsed_s = 0.0

    def hold(self) -> None:
        """Hold writes from now on. Raises RedisError."""
        asked_at = self._clock()
        self._nodes.ask(self._master, "CLIENT", "PAUSE", str(int(PAUSE_S * 1000)), "WRITE")
        # The new pause began no later than its answer came.
        self._lapsed_s = self.lapsed_s()
        self._asked_at = asked_at

    def keep(self) -> None:
        """Renew the hold where it is time to; call it often. Raises RedisError."""
        if self._asked_at is not None and self._clock() - self._asked_at >= RENEW_EVERY_S:
            self.hold()

    def lapsed_s(self) -> float:
        """Return for how many seconds until now writes may have got through, because a renewal came too late."""
        if self._asked_at is None:
            return self._lapsed_s
        # A pause lasts at least until its time has passed since it was asked for.
        return self._lapsed_s + max(0.0, self._clock() - (self._asked_at + PAUSE_S))

    def try_release(self) -> str:
        """Let writes go on at once; return what went wrong, empty if nothing did."""
        self._lapsed_s, self._asked_at = self.lapsed_s(), None  # not renewed either, should this fail
        try:
            self._nodes.ask(self._master, "CLIENT", "UNPAUSE")
        except RedisError as error:
            return f"The hold on {self._master} could not be ended and ends by itself within {PAUSE_S:.0f} s: {error}."
        return ""
