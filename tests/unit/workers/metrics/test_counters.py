"""What relays answer, as few values of a label."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.support.apps import Scrape
from verifier.domain.verifications import DeliveryStatus
from workers.metrics.counters import WorkerMetrics
from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.relay_state import Trouble

RELAY = "relay.example:25"


@pytest.fixture
def registry() -> CollectorRegistry:
    """Of one worker."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WorkerMetrics:
    """With one relay."""
    return WorkerMetrics(registry, [RELAY])


def _scraped(registry: CollectorRegistry) -> Scrape:
    return Scrape(generate_latest(registry).decode())


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        (250, "2xx"),
        (252, "2xx"),
        (421, "421"),
        (471, "4xx"),
        (535, "535"),
        (550, "550"),
        (599, "5xx"),
        (None, "none"),
        (0, "none"),
        (600, "none"),
        (-1, "none"),
    ],
)
def test_a_reply_is_counted_by_its_code_where_that_tells_more(
    metrics: WorkerMetrics, registry: CollectorRegistry, code: int | None, reply: str
) -> None:
    """A relay may send any code, so the others count as their class."""
    metrics.answered(Outcome(Kind.DEFERRED, Stage.CONNECT, RELAY, code), 0.2)
    found = _scraped(registry)
    assert found.values("verifier_relay_replies_total", relay=RELAY, reply=reply) == [1]
    assert found.values("verifier_relay_seconds_count", relay=RELAY) == [1]
    assert found.sum("verifier_relay_replies_total") == 1


def test_no_relay_makes_up_a_value(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """Of codes few are told apart; and nobody else's name is a relay's."""
    for code in range(600):
        metrics.answered(Outcome(Kind.DEFERRED, Stage.CONNECT, RELAY, code), 0.2)
    metrics.answered(Outcome(Kind.DEFERRED, Stage.CONNECT, "another:25", 250), 0.2)
    assert len(_scraped(registry).values("verifier_relay_replies_total")) < 25


def test_deliveries_and_conditions(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """What is given back is no delivery's end."""
    for state in (DeliveryStatus.SENT, DeliveryStatus.SENT, DeliveryStatus.QUEUED, DeliveryStatus.ABANDONED):
        metrics.settled(state)
    metrics.look(relays=[(RELAY, Trouble("It says no.", refuses_us=True))], in_flight=3, waiting=True)
    found = _scraped(registry)
    assert found.values("verifier_deliveries_total", state="sent") == [2]
    assert found.sum("verifier_deliveries_total") == 3
    for name in ("verifier_relay_failing", "verifier_relay_refuses_us", "verifier_worker_waits_for_redis"):
        assert found.sum(name) == 1
    assert found.sum("verifier_mails_in_flight") == 3
    metrics.look(relays=[(RELAY, None)], in_flight=0, waiting=False)
    assert _scraped(registry).sum("verifier_relay_failing") == 0
