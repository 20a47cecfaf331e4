"""No script's cost grows with what is owed: each holds up the master for a moment only, whatever waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from tests.support.stores import Store
from verifier.domain.verifications import DeliveryStatus, Status
from verifier.store import keyspace
from verifier.store.deliveries import Claim, Deliveries, Settlement
from verifier.store.facts import WorkerReport, read_facts, send_heartbeat
from verifier.store.keyspace import Queue

OWED = 100_000
ROUNDS = 15
SCRIPT_COMMANDS = ("eval", "evalsha", "fcall")
# By the master's own account, and the least of some rounds, so that a busy machine counts for nothing.
MOST_US = 5_000


@pytest.fixture
def crowded(store: Store, master: Redis) -> Iterator[Store]:
    """So many mails are owed, none of them due yet, all of them late, and waiting for a relay."""
    soon = time.time() + 3600
    for key, score in (
        (keyspace.DUE, soon),
        (keyspace.LATE, soon - 3600),
        (keyspace.WAITING_FOR_RELAY, soon),
    ):
        for start in range(0, OWED, 10_000):
            master.zadd(
                key, {f"{number:032x}": score + number / 1e4 for number in range(start, start + 10_000)}
            )
    yield store
    master.flushall()


def _cost_us(master: Redis, step: Callable[[], Any]) -> int:
    """Return how many microseconds the master was busy with scripts for a step: the least of several rounds."""
    costs = []
    for _ in range(ROUNDS):
        before = _busy_us(master)
        step()
        costs.append(_busy_us(master) - before)
    return min(costs)


def _busy_us(master: Redis) -> int:
    statistics: dict[str, Any] = master.info("commandstats")
    return sum(int(statistics.get(f"cmdstat_{command}", {"usec": 0})["usec"]) for command in SCRIPT_COMMANDS)


def test_no_step_gets_dearer_with_what_is_owed(crowded: Store, deliveries: Deliveries, master: Redis) -> None:
    """Accepting, checking, claiming, renewing, settling, recovering, waking, looking: on the master's clock."""
    store, client = crowded.limited_to(2 * OWED), crowded._link.redis
    numbers = iter(range(10_000))

    def claimed() -> Claim:
        verification = store.accepted()
        [claim] = deliveries.claim(client, f"lease-{next(numbers)}", 1, [f"{verification.id}-1"])
        assert isinstance(claim, Claim)
        return claim

    held = claimed()
    verification = store.accepted()
    steps: dict[str, Callable[[], Any]] = {
        "accept": store.accepted,
        "attempt": lambda: store.attempted(verification.id),
        "end": lambda: store.end(store.accepted().id, Status.CANCELED),
        "claim": claimed,
        "recall": lambda: deliveries.recall(client, held.lease),
        "extend": lambda: deliveries.extend(client, [held]),
        "settle": lambda: deliveries.settle(client, [Settlement(claimed(), DeliveryStatus.SENT)]),
        "put off": lambda: deliveries.put_off(client, 1000),
        "overdue": lambda: deliveries.overdue(client, 200),
        "wake": lambda: deliveries.wake(client, 100, 10),
        "heartbeat": lambda: send_heartbeat(client, WorkerReport("somebody")),
        "facts": lambda: read_facts(client, Queue()),
    }
    costs_us = {name: _cost_us(master, step) for name, step in steps.items()}
    assert min(costs_us.values()) > 0
    assert {name: cost for name, cost in costs_us.items() if cost > MOST_US} == {}
