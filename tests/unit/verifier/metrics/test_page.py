"""The names of metrics: as Prometheus wants them, each in docs/metrics.md, and rendered whoever asks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from sentinel import TransientError
from tests.support.apps import FakeLink, Family, Scrape, all_families
from verifier.domain.keys import KeyRing
from verifier.metrics.link import LinkMetrics
from verifier.metrics.page import MetricsPage
from verifier.metrics.state import StateCollector
from verifier.settings import Settings

PAGE = Path(__file__).resolve().parents[4] / "docs" / "metrics.md"
ALL = {each.name: each for each in all_families()}
FEW_VALUES = {"route", "method", "status", "key", "result", "limit", "state", "relay", "reply", "worker"}


def _documented() -> dict[str, Family]:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \| (\w+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {
        name: Family(name, kind, tuple(re.findall(r"`(\w+)`", labels)), of, meaning)
        for name, kind, labels, of, meaning in rows
    }


def test_the_page_lists_every_metric_as_it_is() -> None:
    """With its type, its labels, who has it and what it means; and none that is not."""
    assert _documented() == ALL


@pytest.mark.parametrize("family", ALL.values(), ids=lambda family: family.name)
def test_a_name_follows_prometheus(family: Family) -> None:
    """Its prefix, its unit in full, _total for a counter and for nothing else, and labels with few values."""
    assert re.fullmatch(r"verifier_[a-z_]+", family.name)
    assert family.name.endswith("_total") is (family.kind == "counter")
    assert not re.search(r"_(s|ms|kb|mb|count|sum|bucket)$", family.name)
    if family.kind == "histogram":
        assert family.name.endswith("_seconds")
    assert set(family.labels) <= FEW_VALUES


@pytest.fixture
def link() -> FakeLink:
    """On which all is well."""
    return FakeLink()


@pytest.fixture
def page(link: FakeLink) -> MetricsPage:
    """Of a process that counts alone."""
    registry = CollectorRegistry()
    LinkMetrics(registry).moved()
    settings = Settings(keys=KeyRing("test", {"test": b"t" * 64}))
    return MetricsPage(registry, StateCollector(cast("Any", link), settings))


def test_what_is_counted_and_the_state_stand_together(page: MetricsPage) -> None:
    """In the plain format where nothing else is asked for."""
    body, content_type = page.render("")
    found = Scrape(body.decode())
    assert content_type.startswith("text/plain")
    assert found.sum("verifier_master_moves_total") == 1
    assert found.sum("verifier_owed_mails") == 3
    assert found.sum("verifier_heartbeat_age_seconds", worker="oldest") == 2


def test_openmetrics_is_given_to_whom_asks_for_it(page: MetricsPage) -> None:
    """As Prometheus does."""
    body, content_type = page.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_without_redis_it_says_so_and_what_the_process_knows(page: MetricsPage, link: FakeLink) -> None:
    """And nothing that nobody told: no worker is not the same as not knowing of any."""
    link.facts, link.epoch = TransientError("It is away."), None
    found = Scrape(page.render("")[0].decode())
    assert found.values("verifier_redis_reachable") == [0]
    assert found.sum("verifier_master_moves_total") == 1
    assert not found.names() & {"verifier_workers_alive", "verifier_owed_mails", "verifier_master_epoch"}
