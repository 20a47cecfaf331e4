"""What the link to the master tells, counted."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sentinel import LinkObserver

# A hold lasts a fraction of a second, a failover some seconds, a request ten.
_WAITS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 10, 15, 30)


class LinkMetrics(LinkObserver):
    """The metrics of one process's way to the master."""

    def __init__(self, registry: CollectorRegistry) -> None:
        waits = Histogram(
            "verifier_master_wait_seconds",
            "How long requests waited that had to wait for a master, by whether it was worth it: worked, gave_up.",
            ["result"],
            registry=registry,
            buckets=_WAITS_S,
        )
        self._waits = {True: waits.labels("worked"), False: waits.labels("gave_up")}
        self._moves = Counter(
            "verifier_master_moves",
            "How often another master was followed; each process of a service counts for itself.",
            registry=registry,
        )
        connections = Counter(
            "verifier_redis_connections",
            "Connections to the master that were tried: worked, failed.",
            ["result"],
            registry=registry,
        )
        self._connections = {True: connections.labels("worked"), False: connections.labels("failed")}
        self._breaker = Gauge(
            "verifier_breaker_open",
            "1 while requests are refused at once, since Redis has been away for longer than a request waits.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._rogue = Gauge(
            "verifier_rogue_master",
            "1 while the master that Sentinel names was made a replica of a stranger.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        # With labels, since a process that has not asked yet then says nothing of it.
        self._sentinels = Gauge(
            "verifier_sentinels",
            "Sentinels by the process that hears the fewest: known, heard.",
            ["state"],
            registry=registry,
            multiprocess_mode="livemin",
        )

    def moved(self) -> None:
        """Count it."""
        self._moves.inc()

    def connected(self, *, worked: bool) -> None:
        """Count it."""
        self._connections[worked].inc()

    def waited(self, duration_s: float, *, worked: bool) -> None:
        """Count it."""
        self._waits[worked].observe(duration_s)

    def circuit(self, *, is_open: bool) -> None:
        """Note it."""
        self._breaker.set(is_open)

    def rogue(self, *, is_one: bool) -> None:
        """Note it."""
        self._rogue.set(is_one)

    def sentinels(self, heard: int, known: int) -> None:
        """Note it."""
        self._sentinels.labels("known").set(known)
        self._sentinels.labels("heard").set(heard)
