"""Looking into an app, and into what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from verifier.container import Container
from verifier.domain.keys import KeyRing
from verifier.metrics.link import LinkMetrics
from verifier.metrics.state import StateCollector
from verifier.metrics.visits import VisitMetrics
from verifier.settings import Settings
from verifier.settings.alerts import AlertSettings
from verifier.store.facts import Facts, Memory, WorkerReport
from workers.metrics.counters import WorkerMetrics


def container_of(app: Flask) -> Container:
    """Return what an app is made of."""
    parts = app.extensions["verifier"]
    assert isinstance(parts, Container)
    return parts


@dataclass(frozen=True)
class Family:
    """One metric as it is documented: the name of a counter ends with _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    of: str
    meaning: str


FACTS = Facts(
    owed=3,
    oldest_owed_s=4.0,
    last_sent_s=5.0,
    workers=(WorkerReport("one", ("It is tired.",)), WorkerReport("two")),
    replicas=2,
    memory_share=0.1,
    memory=Memory(used=100, limit=1000),
    replica_lag_s=1.0,
    replica_lag_bytes=37,
    canary_age_s=8.0,
    heartbeat_ages_s=(1.0, 2.0),
    dead_letters=6,
)


class FakeLink:
    """A link on which nothing is away, unless it is told so; it counts who looks."""

    def __init__(self) -> None:
        self.facts: Facts | Exception = FACTS
        self.epoch: int | None = 7
        self.looks = 0

    def run(self, _: object, *, deadline_s: float) -> Facts:
        """Return the facts, or raise what is set."""
        assert deadline_s <= 2
        self.looks += 1
        if isinstance(self.facts, Exception):
            raise self.facts
        return self.facts

    def config_epoch(self, within_s: float) -> int | None:
        """Return the epoch."""
        assert within_s <= 1
        return self.epoch


def all_families() -> Iterator[Family]:
    """Yield every metric that web and workers can show."""
    for of, make in (
        ("web", VisitMetrics),
        ("worker", lambda registry: WorkerMetrics(registry, [])),
        ("both", LinkMetrics),
    ):
        registry = CollectorRegistry()
        make(registry)
        for each in cast("Any", registry)._collector_to_names:
            total = "_total" if each._type == "counter" else ""
            yield Family(each._name + total, each._type, tuple(each._labelnames), of, each._documentation)
    settings = Settings(
        keys=KeyRing("test", {"test": b"t" * 64}), alerts=AlertSettings(canary_address="canary@example.org")
    )
    for each in StateCollector(cast("Any", FakeLink()), settings).collect():
        yield Family(each.name, each.type, tuple(each.samples[0].labels), "both", each.documentation)


class Scrape(SimpleNamespace):
    """What a scrape got: the value of each sample, by its name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            (each.name, each.labels, each.value)
            for family in text_string_to_metric_families(text)
            for each in family.samples
        ]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name with these labels; 0 where there is none."""
        return sum(self.values(name, **labels))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of all samples of this name with these labels."""
        return [
            value for found, its, value in self.samples if found == name and labels.items() <= its.items()
        ]

    def names(self) -> set[str]:
        """Return the names of all samples."""
        return {name for name, _, _ in self.samples}
