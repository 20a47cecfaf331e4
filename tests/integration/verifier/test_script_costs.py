"""No script's cost grows with what is owed: each holds up the master for as long as a few PINGs, whatever waits."""

from __future__ import annotations

import statistics
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
# Generous, since the machine may be busy: the script that looked through all of it took 12,000 times a PING.
MOST_PINGS = 400


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


def _median_s(step: Callable[[], Any]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def test_no_step_gets_dearer_with_what_is_owed(crowded: Store, deliveries: Deliveries) -> None:
    """Accepting, checking, claiming, renewing, settling, recovering, waking, looking: on the clock beside PING."""
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
    ping_s = _median_s(client.ping)
    dear = {name: cost for name, step in steps.items() if (cost := _median_s(step) / ping_s) > MOST_PINGS}
    assert dear == {}
