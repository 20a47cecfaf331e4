"""Which process tells of alerts, what is known of them, and of the canary: kept in Redis, to outlive any process.

Times are Redis's, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis

from verifier.store import keyspace
from verifier.store.scripts import Step, load_script, run_steps

STEP = load_script("alerts", "clock", "full")

# A teller that was not heard of for so long is replaced.
LEASE_S = 15.0
KEPT_FOR_S = 7 * 86400.0


@dataclass(frozen=True)
class Telling:
    """Who tells, and what is known, at a moment of Redis's clock in seconds."""

    now: float
    teller: str
    known: str


def take_turn(client: Redis, name: str, known: str, *, may_begin: bool = True) -> Telling:
    """Stay the teller, or with `may_begin` become it where nobody is, and then keep `known`, unless it is empty.

    Raises TransientError, PermanentError or Backpressure.
    """
    step = Step(
        STEP,
        [keyspace.TELLER, keyspace.ALERTS, keyspace.DUE],
        [name, int(LEASE_S * 1000), known, int(KEPT_FOR_S * 1000), int(may_begin)],
    )
    now, teller, kept = run_steps(client, [step], None)[0]
    return Telling(float(now), teller.decode(), kept.decode())


def give_way(client: Redis, name: str) -> None:
    """Let somebody else tell at once, where this process does. Raises as `take_turn` does."""
    teller = client.get(keyspace.TELLER)
    if isinstance(teller, bytes) and teller.decode() == name:
        client.unlink(keyspace.TELLER)


@dataclass(frozen=True)
class CanaryRecord:
    """The canary, as far as it is known."""

    pending: str = ""
    """The id of the verification that is on its way."""
    started_at: float | None = None
    """When the newest one was started."""
    began_at: float | None = None
    """When the first one was."""
    arrived_at: float | None = None
    """When the last one that went out was handed to the relay."""
    reply: str = ""
    """What a relay said to the last one that did not go out."""

    def age_s(self, now: float) -> float | None:
        """Return how long ago the last one went out, or the first one began."""
        at = self.arrived_at if self.arrived_at is not None else self.began_at
        return None if at is None else max(0.0, now - at)


def read_canary(client: Redis) -> CanaryRecord:
    """Read it. Raises TransientError, PermanentError or Backpressure."""
    found: Any = client.hgetall(keyspace.CANARY)
    said = {name.decode(): value.decode() for name, value in found.items()}
    return CanaryRecord(
        said.get("pending", ""),
        _time_in(said.get("started_at")),
        _time_in(said.get("began_at")),
        _time_in(said.get("arrived_at")),
        said.get("reply", ""),
    )


def keep_canary(client: Redis, record: CanaryRecord, keep_for_s: float) -> None:
    """Write it. Raises as `read_canary` does."""
    fields = {
        "pending": record.pending,
        "started_at": record.started_at,
        "began_at": record.began_at,
        "arrived_at": record.arrived_at,
        "reply": record.reply,
    }
    with client.pipeline() as pipeline:
        pipeline.hset(
            keyspace.CANARY,
            mapping={name: "" if value is None else str(value) for name, value in fields.items()},
        )
        pipeline.pexpire(keyspace.CANARY, int(keep_for_s * 1000))
        pipeline.execute()


def _time_in(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
