"""Labels have few values, whatever visitors send."""

from __future__ import annotations

from dataclasses import fields

from prometheus_client import CollectorRegistry, generate_latest

from tests.support.apps import Scrape
from verifier.domain.errors import (
    InvalidAddress,
    LimitReached,
    MalformedCode,
    QueueFull,
    ServiceUnavailable,
    VerificationNotFound,
)
from verifier.domain.limits import Limit, Limits
from verifier.metrics.visits import VisitMetrics
from verifier.outcomes import Judgement, Submission, judgement_of, submission_of


def test_no_visitor_makes_up_a_value() -> None:
    """Of methods, addresses and names of keys, one value stands for all others."""
    registry = CollectorRegistry()
    visits = VisitMetrics(registry, ["shop"])
    for number in range(100):
        visits.visited(None, f"METHOD-{number}", 404, 0.001)
        visits.called(f"name-{number}", 401)
    visits.visited("/verify/<verification_id>", "GET", 200, 0.3)
    visits.called("shop", 201)
    found = Scrape(generate_latest(registry).decode())
    assert found.values("verifier_requests_total", route="other", method="other", status="4xx") == [100]
    assert found.values("verifier_requests_total", route="/verify/<verification_id>", status="2xx") == [1]
    assert found.values("verifier_request_seconds_bucket", route="/verify/<verification_id>", le="0.25") == [
        0
    ]
    assert found.values("verifier_api_requests_total", key="-", status="4xx") == [100]
    assert found.values("verifier_api_requests_total", key="shop", status="2xx") == [1]


def test_every_limit_is_counted_by_its_name() -> None:
    """And shown from the start, so that its first hit is seen as a growth."""
    registry = CollectorRegistry()
    visits, usual = VisitMetrics(registry), Limits()
    names = {each.name for each in fields(Limits) if isinstance(getattr(usual, each.name), Limit)}
    for name in names:
        visits.limit_reached(name)
    found = Scrape(generate_latest(registry).decode())
    assert {
        labels["limit"] for name, labels, _ in found.samples if name == "verifier_limit_hits_total"
    } == names
    assert found.sum("verifier_limit_hits_total") == len(names)


def test_each_error_is_one_outcome() -> None:
    """What is the service's own fault is told from what the caller did."""
    assert submission_of(QueueFull()) is Submission.FULL
    assert submission_of(ServiceUnavailable("Later.")) is Submission.UNAVAILABLE
    assert submission_of(LimitReached("mails", 5)) is Submission.LIMIT
    assert submission_of(InvalidAddress("No.")) is Submission.INVALID
    assert judgement_of(ServiceUnavailable("Later.")) is Judgement.UNAVAILABLE
    assert judgement_of(LimitReached("mails", 5)) is Judgement.LIMIT
    assert judgement_of(MalformedCode("No.")) is Judgement.INVALID
    assert judgement_of(VerificationNotFound()) is Judgement.INVALID
