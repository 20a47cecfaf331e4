"""What the sentinels announce: a subscriber to each of them, which notes each new master and when it came."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Self

from redis.exceptions import RedisError

from sentinel import LocalNode, LocalTopology

SWITCH = "+switch-master"


class SentinelEvents:
    """Listens while it is entered, also across the death and return of sentinels."""

    def __init__(self, topology: LocalTopology) -> None:
        self._topology = topology
        self._stopping = threading.Event()
        self._announced: list[tuple[float, str]] = []
        self._threads = [
            threading.Thread(target=self._listen, args=(each,), name=f"events-{each.name}", daemon=True)
            for each in topology.sentinel_nodes
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def switches(self, since: float) -> list[float]:
        """Return when each new master was announced first; more than one is a failover after the failover."""
        first: dict[str, float] = {}
        for at, text in sorted(self._announced):
            if at >= since:
                first.setdefault(text, at)
        return list(first.values())

    def _listen(self, sentinel: LocalNode) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(RedisError, OSError):
                self._note_until_it_ends(sentinel)
            self._stopping.wait(0.2)

    def _note_until_it_ends(self, sentinel: LocalNode) -> None:
        with (
            self._topology.admin(sentinel) as client,
            client.pubsub(ignore_subscribe_messages=True) as subscriber,
        ):
            subscriber.subscribe(SWITCH)
            while not self._stopping.is_set():
                if message := subscriber.get_message(timeout=0.3):
                    self._announced.append((time.monotonic(), message["data"]))
