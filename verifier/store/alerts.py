"""Which process tells of alerts, and what is known of them: kept in Redis, so that both outlive any process."""

from __future__ import annotations

from dataclasses import dataclass

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


def take_turn(client: Redis, name: str, known: str) -> Telling:
    """Become or stay the teller where nobody else is, and then keep `known`, unless it is empty.

    Raises TransientError, PermanentError or Backpressure.
    """
    step = Step(
        STEP,
        [keyspace.TELLER, keyspace.ALERTS, keyspace.DUE],
        [name, int(LEASE_S * 1000), known, int(KEPT_FOR_S * 1000)],
    )
    now, teller, kept = run_steps(client, [step], None)[0]
    return Telling(float(now), teller.decode(), kept.decode())


def give_way(client: Redis, name: str) -> None:
    """Let somebody else tell at once, where this process does. Raises as `take_turn` does."""
    teller = client.get(keyspace.TELLER)
    if isinstance(teller, bytes) and teller.decode() == name:
        client.unlink(keyspace.TELLER)
