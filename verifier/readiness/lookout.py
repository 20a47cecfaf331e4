"""Looking: what the service says of itself in Redis, whether the master takes a write, which sentinels answer.

A process looks once at a time. Whoever asks meanwhile is told what was seen last, unless that is old: anybody may ask for
`/readyz`, and a look may take seconds.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from redis import Redis

from sentinel import (
    TRANSIENT,
    Access,
    Backpressure,
    Endpoint,
    MasterLink,
    PermanentError,
    Refusal,
    WriteAnswer,
    WriteProbe,
    try_write,
)
from verifier.store import keyspace
from verifier.store.facts import Facts, read_facts
from verifier.store.keyspace import Queue

# For how long Redis is tried, in seconds; a write takes three at most.
LOOK_FOR_S = 2.0
ASK_SENTINELS_FOR_S = 1.0
PROBE_LIVES_MS = 60_000
FRESH_FOR_S = 10.0


@dataclass(frozen=True)
class SentinelsSeen:
    """How many sentinels are known, and who of them gives no usable answer."""

    known: int
    silent: tuple[Endpoint, ...] = ()
    without_master: tuple[Endpoint, ...] = ()
    """Who takes the master for down."""

    @property
    def are_locked_out(self) -> bool:
        """Return whether most take the master for down: where it answers us, it refuses or does not reach them."""
        return 2 * len(self.without_master) > self.known > 0

    @property
    def answering(self) -> int:
        """How many answer."""
        return self.known - len(self.silent)

    @property
    def are_a_majority(self) -> bool:
        """Return whether those that answer could elect one of them for a failover."""
        return 2 * self.answering > self.known


@dataclass(frozen=True)
class Look:
    """What was seen at one moment. Either `facts` or `failure` is there."""

    facts: Facts | None = None
    failure: Exception | None = None
    """Why Redis told nothing, in the words of the link."""
    write: WriteAnswer | None = None
    """What came of one small write on the master; None where no master was found."""
    sentinels: SentinelsSeen = SentinelsSeen(0)
    master: Endpoint | None = None
    """Who answered as the master."""


class Lookout:
    """Looks by one process's link; safe for threads."""

    def __init__(self, link: MasterLink, queue: Queue, replicas_to_acknowledge: int) -> None:
        """Look at nothing yet; a write counts once so many replicas have it."""
        self._link = link
        self._queue = queue
        access: Access = link.access
        self._probe = WriteProbe(access.node_login, keyspace.PROBE, replicas_to_acknowledge)
        self._lock = threading.Lock()
        self._newest: tuple[float, Look] | None = None

    def look(self) -> Look:
        """Look at everything, within some three seconds; what Redis or a sentinel does is never raised."""
        if self._lock.acquire(blocking=False):
            try:
                return self._look_now()
            finally:
                self._lock.release()
        if (seen := self._seen_lately()) is not None:
            return seen
        with self._lock:
            # What was waited for is there now: looking once more, each after the other, would hold up as many as ask.
            return self._seen_lately() or self._look_now()

    def _seen_lately(self) -> Look | None:
        newest = self._newest
        return newest[1] if newest is not None and time.monotonic() - newest[0] < FRESH_FOR_S else None

    def _look_now(self) -> Look:
        seen = self._look()
        self._newest = time.monotonic(), seen
        return seen

    def _look(self) -> Look:
        before = self._link.last_master
        # All at once: while Redis is away each of them takes its whole time.
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="lookout") as others:
            writing = others.submit(self._write, before)
            asking = others.submit(self._ask_sentinels)
            facts, failure = self._facts()
            write, sentinels = writing.result(), asking.result()
        master = self._link.last_master
        if master != before:
            write = self._write(master)
        if failure is None and write is not None and write.refusal is Refusal.ROLE:
            # A connection that was open stays open to a master that somebody made a replica: a write finds that out.
            facts, failure = self._facts(write_first=True)
        return Look(facts, failure, write, sentinels, None if failure else master)

    def _ask_sentinels(self) -> SentinelsSeen:
        known, silent = self._link.sentinels_seen(ASK_SENTINELS_FOR_S)
        without_master = (
            self._link.sentinels_without_master(ASK_SENTINELS_FOR_S) if len(silent) < known else ()
        )
        return SentinelsSeen(known, silent, without_master)

    def _write(self, master: Endpoint | None) -> WriteAnswer | None:
        """Write also where Redis tells nothing: a hold (CLIENT PAUSE) lets nothing through, and looks like silence."""
        return None if master is None else try_write(master, self._probe, self._link.access.tls)

    def _facts(self, *, write_first: bool = False) -> tuple[Facts | None, Exception | None]:
        def read(client: Redis) -> Facts:
            if write_first:
                client.set(self._probe.key, "1", px=PROBE_LIVES_MS)
            return read_facts(client, self._queue)

        try:
            return self._link.run(read, LOOK_FOR_S), None
        except (*TRANSIENT, PermanentError, Backpressure) as error:
            return None, error
