"""What a worker does with mails and what relays answer, counted."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from verifier.domain.verifications import DeliveryStatus
from workers.smtp.answers import Outcome
from workers.smtp.relay_state import Trouble

# Of a mail's journey: settled for now, or for good. One that is given back is none.
COUNTED = (
    DeliveryStatus.SENT,
    DeliveryStatus.DEFERRED,
    DeliveryStatus.REJECTED,
    DeliveryStatus.ABANDONED,
)
# Codes that tell an operator more than their class does (RFC 5321, RFC 4954); a relay may send any, so the rest have none.
_TELLING_CODES = frozenset({421, 450, 451, 452, 454, 503, 530, 534, 535, 538, 550, 551, 552, 553, 554})
NO_ANSWER = "none"
_DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)


class WorkerMetrics:
    """The metrics of one worker process; safe for threads."""

    def __init__(self, registry: CollectorRegistry, relays: Sequence[str]) -> None:
        """Take the names of the relays, which are the values of a label."""
        deliveries = Counter(
            "verifier_deliveries",
            "Deliveries by what became of each try, once that was written down.",
            ["state"],
            registry=registry,
        )
        self._deliveries = {each: deliveries.labels(each.value) for each in COUNTED}
        durations = Histogram(
            "verifier_relay_seconds",
            "How long it took to hand a mail to a relay, or to be refused.",
            ["relay"],
            registry=registry,
            buckets=_DURATIONS_S,
        )
        self._durations = {relay: durations.labels(relay) for relay in relays}
        self._answers = Counter(
            "verifier_relay_replies",
            "Answers of relays that ended a try: the class (2xx), the code where it tells more, or none.",
            ["relay", "reply"],
            registry=registry,
        )
        self._replies = {
            (relay, reply): self._answers.labels(relay, reply)
            for relay in relays
            for reply in ("2xx", "4xx", "5xx", NO_ANSWER)
        }
        failing = Gauge(
            "verifier_relay_failing",
            "1 while a relay fails and rests.",
            ["relay"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        refusing = Gauge(
            "verifier_relay_refuses_us",
            "1 while a relay refuses this service itself: its login, its sender, its certificate.",
            ["relay"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._failing = {relay: failing.labels(relay) for relay in relays}
        self._refusing = {relay: refusing.labels(relay) for relay in relays}
        self._in_flight = Gauge(
            "verifier_mails_in_flight",
            "Mails that workers have claimed and not settled.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "verifier_worker_waits_for_redis",
            "1 while a worker process waits for Redis.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def settled(self, state: DeliveryStatus) -> None:
        """Count a settlement."""
        counter = self._deliveries.get(state)
        if counter is not None:
            counter.inc()

    def answered(self, outcome: Outcome, duration_s: float) -> None:
        """Count what a relay answered to a mail, or that it did not."""
        relay = outcome.relay
        if relay not in self._durations:
            return
        self._durations[relay].observe(duration_s)
        answer = (relay, _reply_of(outcome.code))
        counter = self._replies.get(answer)
        if counter is None:
            counter = self._replies[answer] = self._answers.labels(*answer)
        counter.inc()

    def look(self, *, relays: Sequence[tuple[str, Trouble | None]], in_flight: int, waiting: bool) -> None:
        """Note how the worker fares at this moment."""
        for name, trouble in relays:
            self._failing[name].set(trouble is not None)
            self._refusing[name].set(trouble is not None and trouble.refuses_us)
        self._in_flight.set(in_flight)
        self._waiting.set(waiting)


def _reply_of(code: int | None) -> str:
    if code is None or not 200 <= code <= 599:
        return NO_ANSWER
    return str(code) if code in _TELLING_CODES else f"{code // 100}xx"
