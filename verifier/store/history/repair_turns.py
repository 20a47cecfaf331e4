"""Whose turn it is to repair, known before it is needed: a master that was led away can't be asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sentinel import MasterLink
from verifier.store import keyspace
from verifier.store.facts import ALIVE_FOR_S
from verifier.store.history import EventKind, read_history

REFRESH_EVERY_S = 10.0
REPAIRED_LATELY_S = 3600.0
LOOK_BACK = 50
# So that the history tells a worker's repair from an operator's, which is no reason to leave it to them next time.
BY_WORKER = "worker "


class RepairTurns:
    """What one worker knows of the others."""

    def __init__(self, link: MasterLink, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._name = name
        self._clock = clock
        self._refreshed_at: float | None = None
        self._before = 0
        self._repaired_at: float | None = None

    def refresh(self) -> None:
        """Ask Redis where it was long ago. Raises TransientError, PermanentError or Backpressure."""
        now = self._clock()
        if self._refreshed_at is not None and now - self._refreshed_at < REFRESH_EVERY_S:
            return
        client = self._link.redis
        seconds, microseconds = client.time()
        redis_now = seconds + microseconds / 1e6
        found: Any = client.zrangebyscore(keyspace.WORKERS, redis_now - ALIVE_FOR_S, "+inf")
        names = {name.decode() for name in found}
        self._before = sum(name < self._name for name in names)
        repairs = [
            event.at
            for event in read_history(client, LOOK_BACK)
            if event.kind is EventKind.REPAIR and event.by.startswith(BY_WORKER)
        ]
        self._repaired_at = now - (redis_now - max(repairs)) if repairs else None
        self._refreshed_at = now

    def rank(self) -> int:
        """Return how many living workers come before this one."""
        return self._before

    def repaired_lately(self) -> bool:
        """Return whether a worker repaired it within the last hour, as far as is known."""
        return self._repaired_at is not None and self._clock() - self._repaired_at < REPAIRED_LATELY_S
