"""A topology and what is wrong with it, as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sentinel import Endpoint, Finding, NodeState, Role, SentinelState, Severity, Topology, Vitals
from verifier.cli.sheets import Sheet

_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow"}


def as_tables(topology: Topology) -> RenderableType:
    """Show the nodes and the sentinels; `?` stands for what is not known."""
    return Group(_nodes(topology), "", _sentinels(topology), "", *_write(topology))


def as_sentences(findings: Iterable[Finding]) -> RenderableType:
    """Show what is wrong, each with its remedy."""
    found = list(findings)
    lines = [
        Text.assemble((f"{finding.severity.upper()}: ", _COLOURS[finding.severity]), str(finding))
        for finding in found
    ]
    if any(finding.repairable for finding in found):
        lines.append(Text("`flask sentinel repair` looks at the conditions once more, asks, and does it."))
    return Group(*lines) if lines else Text("Nothing is wrong.", style="green")


def as_json(topology: Topology, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return both as `json` can write them: an endpoint is `host:port`, what is not known is null."""
    return {
        "master_name": topology.master_name,
        "master": _plain(topology.named_master),
        "nodes": [{**_plain(node), "lag_bytes": topology.lag_of(node)} for node in topology.nodes],
        "sentinels": _plain(topology.sentinels),
        "write": _plain(topology.write),
        "findings": [_plain(finding) for finding in findings],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Vitals):
        return {**_plain_fields(value), "lags": {str(endpoint): lag_s for endpoint, lag_s in value.lags}}
    if is_dataclass(value):
        return _plain_fields(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple) and not isinstance(value, Endpoint):
        return [_plain(each) for each in value]
    return _word(value)


def _word(value: Any) -> Any:
    if isinstance(value, Endpoint):
        return str(value)
    return value.name.lower() if isinstance(value, Role) else value


def _plain_fields(value: Any) -> dict[str, Any]:
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def _write(topology: Topology) -> list[RenderableType]:
    """Say that a write was taken; that it was not is a finding."""
    write = topology.write
    if write is None or not write.taken:
        return []
    confirmed = "" if write.acknowledged is None else f", and {write.acknowledged} replicas have it"
    return [f"{write.node} has just taken a write within {1000 * write.took_s:.0f} ms{confirmed}."]


def _nodes(topology: Topology) -> Sheet:
    table = Sheet(("Node", "Server", "Role", "Bytes behind", "Link", "Priority", "Needs replicas"))
    for node in topology.nodes:
        table.add(
            str(node.endpoint),
            _shown(node.server),
            _role(node, topology),
            _shown(topology.lag_of(node)) if node.role is not Role.MASTER else "",
            "" if node.role is Role.MASTER else _shown(node.link),
            _shown(node.priority),
            {True: "yes", False: "no", None: "?"}[node.needs_replicas],
        )
    return table


def _role(node: NodeState, topology: Topology) -> Text:
    if node.role is None:
        return Text("refuses us" if node.refused else "silent", style="red")
    named = node.endpoint == topology.named_master
    if node.role is Role.MASTER:
        return Text("master", style="bold green" if named else "bold red")
    if named or node.follows != topology.named_master:
        return Text(f"replica of {node.follows}", style="bold red")
    return Text("replica")


def _sentinels(topology: Topology) -> Sheet:
    table = Sheet(("Sentinel", "Names as master", "Epoch", "Others", "Quorum", "Failover possible", "Sees"))
    for sentinel in topology.sentinels:
        table.add(
            str(sentinel.endpoint),
            _shown(sentinel.master) if sentinel.answers else Text(sentinel.trouble or "silent", style="red"),
            _shown(sentinel.epoch),
            _shown(sentinel.other_sentinels),
            _shown(sentinel.quorum),
            {True: "yes", False: "no", None: "?"}[sentinel.has_quorum],
            _sight(sentinel),
        )
    return table


def _sight(sentinel: SentinelState) -> str:
    """Return what it sees of the master beside that it is one."""
    seen = sorted(sentinel.flags - {"master"}) + (["tilt"] if sentinel.tilt else [])
    return ", ".join(seen) or ("ok" if sentinel.answers else "?")


def _shown(value: object) -> str:
    return "?" if value is None else str(value)
