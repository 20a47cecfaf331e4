"""The state of the service as metrics, read from Redis and the sentinels at the moment of a scrape.

A scrape is answered whatever Redis does: the look is bounded, and what it did not find is left out. What was found is good
for a second, however many ask meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from sentinel import TRANSIENT, Backpressure, MasterLink, PermanentError
from verifier.settings import Settings
from verifier.store.facts import Facts, read_facts
from verifier.store.keyspace import Queue

LOOK_FOR_S = 2.0
EPOCH_WITHIN_S = 0.5
GOOD_FOR_S = 1.0


@dataclass(frozen=True)
class State:
    """What was found; None is what nobody told."""

    facts: Facts | None = None
    epoch: int | None = None


class StateCollector:
    """Reads the state for the scrapes of one process; safe for threads."""

    def __init__(
        self, link: MasterLink, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the way to Redis, and from the settings the queue and when something is too old."""
        self._link = link
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._state = State()
        self._looked_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """Yield what is known of this moment, give or take a second."""
        state = self._look()
        yield _gauge("redis_reachable", "1 where the master answered this scrape.", state.facts is not None)
        yield from self._limits()
        if state.epoch is not None:
            yield _gauge(
                "master_epoch", "The sentinels' configuration epoch: each failover raises it.", state.epoch
            )
        if state.facts is not None:
            yield from _facts(state.facts)

    def _look(self) -> State:
        """Return the state; whoever comes while another one looks waits for what that finds, for a while."""
        if not self._lock.acquire(timeout=LOOK_FOR_S + EPOCH_WITHIN_S):
            return State()
        try:
            if self._clock() - self._looked_at >= GOOD_FOR_S:
                self._state = State(self._facts(), self._link.config_epoch(EPOCH_WITHIN_S))
                self._looked_at = self._clock()
            return self._state
        finally:
            self._lock.release()

    def _facts(self) -> Facts | None:
        queue = Queue(self._settings.queue)
        try:
            return self._link.run(lambda client: read_facts(client, queue), deadline_s=LOOK_FOR_S)
        except (*TRANSIENT, PermanentError, Backpressure):
            return None

    def _limits(self) -> Iterator[Metric]:
        settings = self._settings
        yield _gauge("oldest_owed_limit_seconds", "VERIFIER_OLDEST_OWED_LIMIT.", settings.oldest_owed_limit_s)
        yield _gauge("no_success_limit_seconds", "VERIFIER_NO_SUCCESS_LIMIT.", settings.no_success_limit_s)
        if settings.alerts.canary_late_s is not None:
            yield _gauge(
                "canary_limit_seconds",
                "When a canary is too old: VERIFIER_CANARY_INTERVAL.",
                settings.alerts.canary_late_s,
            )
        yield _gauge(
            "redis_replicas_required",
            "VERIFIER_REPLICAS_TO_ACKNOWLEDGE.",
            settings.redis.replicas_to_acknowledge,
        )


def _facts(facts: Facts) -> Iterator[Metric]:
    yield _gauge("owed_mails", "Mails that are owed.", facts.owed)
    yield _gauge("oldest_owed_seconds", "For how long the oldest of them has been owed.", facts.oldest_owed_s)
    if facts.last_sent_s is not None:
        yield _gauge("last_sent_seconds", "How long ago a mail was handed to a relay.", facts.last_sent_s)
    if facts.canary_age_s is not None:
        yield _gauge("canary_age_seconds", "How long ago the last canary went out.", facts.canary_age_s)
    yield _gauge("workers_alive", "Workers that were heard of a moment ago.", len(facts.workers))
    troubled = sum(bool(worker.troubles) for worker in facts.workers)
    yield _gauge("workers_in_trouble", "Workers alive that say what keeps them from sending.", troubled)
    yield from _heartbeats(facts)
    yield _gauge(
        "dead_letters", "Deliveries that were given up and are kept for operators.", facts.dead_letters
    )
    yield _gauge("redis_replicas", "Replicas that follow the master closely.", facts.replicas)
    if facts.replica_lag_s is not None:
        yield _gauge(
            "redis_replica_lag_seconds",
            "How long ago the slowest replica acknowledged.",
            facts.replica_lag_s,
        )
    if facts.replica_lag_bytes is not None:
        yield _gauge(
            "redis_replica_lag_bytes",
            "By how much the slowest replica is behind.",
            facts.replica_lag_bytes,
        )
    if facts.memory is not None:
        yield _gauge(
            "redis_memory_bytes", "Memory of the master that counts towards its limit.", facts.memory.used
        )
        yield _gauge("redis_memory_limit_bytes", "The master's maxmemory; 0 is no limit.", facts.memory.limit)


def _heartbeats(facts: Facts) -> Iterator[Metric]:
    if facts.heartbeat_ages_s:
        family = GaugeMetricFamily(
            "verifier_heartbeat_age_seconds",
            "How long ago workers were heard of, of those within the last five minutes: newest, oldest.",
            labels=["worker"],
        )
        family.add_metric(["newest"], min(facts.heartbeat_ages_s))
        family.add_metric(["oldest"], max(facts.heartbeat_ages_s))
        yield family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"verifier_{name}", what, value=float(value))
