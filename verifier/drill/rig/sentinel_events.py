"""What the sentinels announce: a subscriber to each of them, which notes every event and when it came."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

from sentinel import LocalNode, LocalTopology

SWITCH = "+switch-master"


@dataclass(frozen=True, slots=True)
class Event:
    """One message of one sentinel; `at` in monotonic seconds."""

    at: float
    channel: str
    text: str


class SentinelEvents:
    """Listens while it is entered, also across the death and return of sentinels."""

    def __init__(self, topology: LocalTopology) -> None:
        self._topology = topology
        self._stopping = threading.Event()
        self.events: list[Event] = []
        self._threads = [
            threading.Thread(target=self._listen, args=(each,), name=f"events-{each.name}", daemon=True)
            for each in topology.sentinel_nodes
        ]

    def __enter__(self) -> Self:
        """Start listening."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def first_switch(self, since: float) -> float | None:
        """Return when the first sentinel announced a new master after `since`."""
        return min(self.switches(since), default=None)

    def switches(self, since: float) -> list[float]:
        """Return when each new master was announced first; more than one is a failover after the failover."""
        first: dict[str, float] = {}
        for event in sorted(self.events, key=lambda each: each.at):
            if event.channel == SWITCH and event.at >= since:
                first.setdefault(event.text, event.at)
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
            subscriber.psubscribe("*")
            while not self._stopping.is_set():
                message = subscriber.get_message(timeout=0.3)
                if message is not None:
                    self.events.append(Event(time.monotonic(), message["channel"], message["data"]))
