"""deploy/prometheus/alerts.yml and deploy/grafana/dashboard.json: they name metrics that exist, and lead to the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.apps import Family, all_families
from verifier.alerts.catalogue import ALERTS as ALERTS_BY_WEBHOOK

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
# Prometheus' own, of each scrape.
OTHERS = {"up": {"job", "instance"}}
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]


def _dashboard() -> dict[str, Any]:
    loaded = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in _dashboard()["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in _dashboard()["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def _labels_of_samples() -> dict[str, set[str]]:
    """Return the labels of each name that a query may use; a histogram has three names."""
    found = dict(OTHERS)
    for family in all_families():
        names = [family.name]
        if family.kind == "histogram":
            names = [f"{family.name}_{part}" for part in ("bucket", "sum", "count")]
        for name in names:
            found[name] = {*family.labels, *OTHERS["up"]} | ({"le"} if name.endswith("_bucket") else set())
    return found


@dataclass(frozen=True)
class Named:
    """What an expression asks of Prometheus: each metric with the labels it is chosen by, and those it is grouped by."""

    metrics: list[tuple[str, set[str]]]
    groups: set[str]


def _named(expression: str) -> Named:
    """Read an expression: what is neither a function, nor a word of PromQL, nor a label is a metric."""
    bare = re.sub(r"\[[^]]*\]", "", re.sub(r'"[^"]*"', '""', expression))
    groups: set[str] = set()
    for grouping in re.findall(r"\bby \(([^)]*)\)", bare):
        groups |= set(re.findall(r"\w+", grouping))
    bare = re.sub(r"\bby \([^)]*\)", "by", bare)
    found = re.findall(r"\b([a-zA-Z_]\w*)\b(?!\s*\(|\w)(?!\s*(?:=~|!~|!=|=)\s*\"\")(?:\{([^}]*)\})?", bare)
    # A function with a grouping stands before it, not before its bracket.
    words = {"by", "or", "and", "unless", "offset", "sum", "max", "min"}
    return Named(
        [
            (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels)))
            for name, labels in found
            if name not in words
        ],
        groups,
    )


def metrics_named() -> set[str]:
    """Return the names of all samples that alerts and dashboard ask for."""
    return {name for _, expression in _expressions() for name, _ in _named(expression).metrics}


@pytest.mark.parametrize(("where", "expression"), list(_expressions()), ids=lambda each: str(each)[:30])
def test_every_metric_that_is_named_exists(where: str, expression: str) -> None:
    """With the labels that it is chosen by; and one has those that are grouped by."""
    named, known = _named(expression), _labels_of_samples()
    assert named.metrics, where
    for name, labels in named.metrics:
        assert name in known
        assert labels <= known[name], name
    assert named.groups <= set().union(*(known[name] for name, _ in named.metrics))


def test_a_name_that_is_none_would_be_found() -> None:
    """And a label, too."""
    named = _named(
        'sum by (relay) (rate(verifier_x_total{reply=~"5..",a!="b"}[5m])) > 0 or max(b offset 1h) > 0.5'
    )
    assert named == Named([("verifier_x_total", {"reply", "a"}), ("b", set())], {"relay"})


def test_nothing_is_counted_in_vain() -> None:
    """Every metric is seen on the dashboard or watched by an alert."""
    named = metrics_named()

    def is_used(family: Family) -> bool:
        return any(name == family.name or name.startswith(f"{family.name}_") for name in named)

    assert [family.name for family in all_families() if not is_used(family)] == []


def _anchors() -> dict[str, str]:
    """Return the section of each heading of the runbook, by the anchor that GitHub gives it."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    parts = re.split(r"^#{2,3} (.+)$", text, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"): section
        for heading, section in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_is_wrong_and_leads_to_the_runbook(rule: dict[str, Any]) -> None:
    """To a section of its own: what it means, what people notice, what to do, and when it is over."""
    assert re.fullmatch(r"Verifier[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert notes["summary"].endswith(".")
    page, _, anchor = notes["runbook"].partition("#")
    assert (page, anchor) == ("docs/runbook.md", rule["alert"].removeprefix("Verifier").lower())
    section = _anchors()[anchor]
    assert f"- What people notice: {notes['people_notice']}\n" in section
    for line in ("- What it means: ", "- What to do: ", "- Over when: "):
        assert line in section


def test_the_runbook_has_each_alert_once() -> None:
    """One section for both ways in which it is told, by the same name; and none of an alert that is none."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = re.findall(
        r"^### (\w+)$", text.partition("\n## Alerts\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert sorted(sections) == sorted(rule["alert"].removeprefix("Verifier") for rule in RULES)
    by_webhook = {name for name in sections if "\n- Webhook: " in _anchors()[name.lower()]}
    assert by_webhook == set(ALERTS_BY_WEBHOOK)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules() -> None:
    """By its own word."""
    checked = subprocess.run(
        ["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    """Of 24 columns; each panel has a number of its own."""
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
