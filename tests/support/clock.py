"""Clocks for tests."""

from __future__ import annotations

from typing import Any

from redis import Redis

from sentinel import LocalTopology
from verifier.container import Container
from verifier.store import keyspace


class Clock:
    """A clock that stands still until it is moved; seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class RedisTime:
    """Time passes for all verifications at once, since Redis's own clock can't be moved."""

    def __init__(self, container: Container, topology: LocalTopology) -> None:
        self._container = container
        self._topology = topology

    @property
    def now(self) -> float:
        """The time by Redis's clock."""
        return self._container.service.clock()

    def move(self, seconds: float) -> None:
        """Let time have passed since whatever happened so far."""
        with self._topology.admin(self._topology.current_master()) as client:
            for key in client.scan_iter(f"{keyspace.RECORD_PREFIX}*"):
                for name in ("created_at", "expires_at", "queued_at", "last_sent_at"):
                    before: Any = client.hget(key, name)
                    if before is not None:
                        client.hset(key, name, f"{float(before) - seconds:.3f}")
        self.move_limits(seconds)

    def move_limits(self, seconds: float) -> None:
        """Let time have passed for the limits alone."""
        with self._topology.admin(self._topology.current_master()) as client:
            move_limits(client, seconds, self.now)


def move_limits(client: Redis, seconds: float, now: float) -> None:
    """Let time have passed for the limits alone, on a master whose clock says `now`."""
    keys = list(client.scan_iter(f"{keyspace.LIMIT_PREFIX}*", count=1000))
    texts: Any = client.mget(keys) if keys else []
    with client.pipeline(transaction=False) as pipeline:
        for key, text in zip(keys, texts, strict=True):
            times = [float(each) - seconds for each in (text or "").split()]
            if max(times, default=0.0) > now:
                pipeline.set(key, " ".join(f"{each:.6f}" for each in times), keepttl=True)
            else:
                pipeline.delete(key)
        pipeline.execute()
