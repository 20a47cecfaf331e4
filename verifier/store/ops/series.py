"""How the service fared in each of the last minutes: what was owed, accepted, sent, put off and refused.

One hash a minute, which ends by itself, so the whole of it is some 40 KiB whatever the load. Workers write with every
heartbeat, never for a mail: the totals of what they did since their start, from which the script takes what is new.
So nothing is counted twice when an answer gets lost, and a worker that is killed takes only its last seconds with it.
How many were accepted follows from the number of the newest job, less those that recovery queued again.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from verifier.store import keyspace
from verifier.store.keyspace import Queue
from verifier.store.scripts import Argument, Step, load_script, run_steps

MINUTE = load_script("minute", "clock", "full", "records", "owed")

MINUTE_S = 60
# How many minutes are shown; they are kept a little longer, so that the first of them has one before it.
SHOWN = 120
_KEPT_S = (SHOWN + 5) * MINUTE_S
# A worker whose totals were forgotten tells what it wrote last.
_TOLD_KEPT_S = 3600.0

SENT, DEFERRED, REJECTED, ABANDONED, REQUEUED = "sent", "deferred", "rejected", "abandoned", "requeued"
COUNTED = (SENT, DEFERRED, REJECTED, ABANDONED, REQUEUED)


class Tally:
    """What one worker has done since its start; `add` may be called from any thread, the rest from one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(COUNTED, 0)
        self._written = dict(self._totals)

    def add(self, name: str, how_many: int = 1) -> None:
        """Count; `name` is one of COUNTED."""
        with self._lock:
            self._totals[name] += how_many

    def write(self, client: Redis, queue: Queue, worker: str) -> None:
        """Write down what is new. Raises TransientError, PermanentError or Backpressure; then it is told the next time."""
        with self._lock:
            totals = dict(self._totals)
        told = [each for name in COUNTED for each in (name, totals[name], self._written[name])]
        run_steps(client, [_step(queue, [keyspace.COUNTED_PREFIX + worker], told)], None)
        self._written = totals


def note_minute(client: Redis, queue: Queue) -> None:
    """Write down what is owed, for whoever looks while no worker does. Raises as `Tally.write` does."""
    run_steps(client, [_step(queue, [], [])], None)


def _step(queue: Queue, counted: Sequence[str], told: Sequence[Argument]) -> Step:
    return Step(
        MINUTE,
        [keyspace.DUE, keyspace.LATE, queue.key, keyspace.SEQUENCE, *counted],
        [keyspace.MINUTE_PREFIX, _KEPT_S, keyspace.RECORD_PREFIX, _TOLD_KEPT_S, *told],
    )


@dataclass(frozen=True)
class Minute:
    """One minute; None where nobody wrote anything down."""

    number: int
    """Minutes since 1970."""
    owed: int | None = None
    """At its end."""
    oldest_s: float | None = None
    """The most it came to."""
    accepted: float | None = None
    """Mails taken on, resends included; where nobody wrote for some minutes, their mean."""
    sent: int | None = None
    deferred: int | None = None
    rejected: int | None = None
    """Refused by a relay for good, or given up."""


@dataclass(frozen=True)
class Series:
    """The minutes that are shown, the oldest first; the last one is still going on, for so many seconds."""

    minutes: tuple[Minute, ...]
    into_last_s: float

    def within_a_minute(self, value: Callable[[Minute], float | None]) -> float:
        """Return about how much it came to within the last sixty seconds."""
        before, last = (value(each) or 0.0 for each in self.minutes[-2:])
        return last + before * (1 - self.into_last_s / MINUTE_S)


class SeriesReader:
    """Reads the minutes that are shown; those that are over are read once. For one thread."""

    def __init__(self) -> None:
        self._known: dict[int, Mapping[str, str]] = {}

    def read(self, client: Redis) -> Series:
        """Return the last SHOWN minutes. Raises TransientError, PermanentError or Backpressure."""
        seconds: Any = client.time()
        last = int(seconds[0]) // MINUTE_S
        wanted = range(last - SHOWN, last + 1)
        # A worker may be some seconds late with what it did in the minute before.
        missing = [each for each in wanted if each not in self._known or each >= last - 1]
        with client.pipeline(transaction=False) as pipeline:
            for number in missing:
                pipeline.hgetall(f"{keyspace.MINUTE_PREFIX}{number}")
            found = pipeline.execute()
        read = {number: _decoded(fields) for number, fields in zip(missing, found, strict=True)}
        self._known = {number: read.get(number, self._known.get(number, {})) for number in wanted}
        minutes = minutes_of([(number, self._known[number]) for number in wanted])
        return Series(minutes, float(int(seconds[0]) % MINUTE_S))


def minutes_of(found: Sequence[tuple[int, Mapping[str, str]]]) -> tuple[Minute, ...]:
    """Return the minutes but the first, which only says what came before the second."""
    accepted = _accepted(found)
    return tuple(_minute(number, fields, accepted.get(number)) for number, fields in found[1:])


def _minute(number: int, fields: Mapping[str, str], accepted: float | None) -> Minute:
    if "owed" not in fields:
        return Minute(number, accepted=accepted)
    counts = {name: int(fields.get(name, 0)) for name in COUNTED}
    return Minute(
        number,
        owed=int(fields["owed"]),
        oldest_s=float(fields.get("oldest", 0)),
        accepted=accepted,
        sent=counts[SENT],
        deferred=counts[DEFERRED],
        rejected=counts[REJECTED] + counts[ABANDONED],
    )


def _accepted(found: Sequence[tuple[int, Mapping[str, str]]]) -> dict[int, float]:
    """Compare each minute that was written down with the one before it, whenever that was."""
    told = [(number, fields) for number, fields in found if "sequence" in fields]
    accepted: dict[int, float] = {}
    for (before, earlier), (number, fields) in itertools.pairwise(told):
        queued = int(fields["sequence"]) - int(earlier["sequence"]) - int(fields.get(REQUEUED, 0))
        share = max(0, queued) / (number - before)
        accepted |= dict.fromkeys(range(before + 1, number + 1), share)
    return accepted


def _decoded(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
