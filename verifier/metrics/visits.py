"""What visitors of the web app ask for and get, counted.

The request's way is short, so each combination of labels is looked up once and kept: a visit costs a few dictionary
look-ups and additions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from prometheus_client import CollectorRegistry, Counter, Histogram

from verifier.domain.limits import Limit, Limits
from verifier.outcomes import Judgement, Outcomes, Submission

OTHER = "other"
NOBODY = "-"
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_DURATIONS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class VisitMetrics(Outcomes):
    """The metrics of the web app's requests in one process."""

    def __init__(self, registry: CollectorRegistry, key_names: Iterable[str] = ()) -> None:
        """Take the names of the API keys, which are the values of a label."""
        self._requests = Counter(
            "verifier_requests",
            "Requests that were answered, by the rule of their address, method and class of status (2xx).",
            ["route", "method", "status"],
            registry=registry,
        )
        self._durations = Histogram(
            "verifier_request_seconds",
            "How long requests took in the app.",
            ["route"],
            registry=registry,
            buckets=_DURATIONS_S,
        )
        self._by_key = Counter(
            "verifier_api_requests",
            "Requests to the API by the name of the key (- without one) and class of status.",
            ["key", "status"],
            registry=registry,
        )
        self._visits: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._keys: dict[tuple[str, int], Counter] = {}
        self._names = frozenset(key_names)
        submissions = Counter(
            "verifier_submissions", "Starts by what came of them.", ["result"], registry=registry
        )
        resends = Counter("verifier_resends", "Resends by what came of them.", ["result"], registry=registry)
        checks = Counter(
            "verifier_checks", "Typed codes by what came of them.", ["result"], registry=registry
        )
        limits = Counter(
            "verifier_limit_hits", "Refusals by the limit that was used up.", ["limit"], registry=registry
        )
        self._submissions = {each: submissions.labels(each.value) for each in Submission}
        self._resends = {each: resends.labels(each.value) for each in Submission}
        self._checks = {each: checks.labels(each.value) for each in Judgement}
        self._limits = {name: limits.labels(name) for name in _names_of_limits()}

    def visited(self, route: str | None, method: str, status: int, duration_s: float) -> None:
        """Count a request that was answered with this status; `route` is None where its address leads nowhere."""
        visit = (route or OTHER, method if method in _METHODS else OTHER, status // 100)
        counters = self._visits.get(visit)
        if counters is None:
            counters = self._visits[visit] = (
                self._requests.labels(visit[0], visit[1], f"{visit[2]}xx"),
                self._durations.labels(visit[0]),
            )
        counters[0].inc()
        counters[1].observe(duration_s)

    def called(self, key_name: str, status: int) -> None:
        """Count a request to the API; `key_name` is empty where none let the caller in."""
        call = (key_name if key_name in self._names else NOBODY, status // 100)
        counter = self._keys.get(call)
        if counter is None:
            counter = self._keys[call] = self._by_key.labels(call[0], f"{call[1]}xx")
        counter.inc()

    def submitted(self, result: Submission) -> None:
        """Count it."""
        self._submissions[result].inc()

    def resent(self, result: Submission) -> None:
        """Count it."""
        self._resends[result].inc()

    def judged(self, result: Judgement) -> None:
        """Count it."""
        self._checks[result].inc()

    def limit_reached(self, limit: str) -> None:
        """Count it."""
        self._limits[limit].inc()


def _names_of_limits() -> list[str]:
    usual = Limits()
    return [each.name for each in fields(Limits) if isinstance(getattr(usual, each.name), Limit)]
