"""A topology and what is wrong with it: tables for people, plain values for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sentinel import Endpoint, Finding, NodeState, Role, SentinelState, Severity, Topology, Vitals
from verifier.cli.sheets import Sheet

MIB = 1024 * 1024
YES_OR_NO = {True: "yes", False: "no", None: "?"}
_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow"}


def as_tables(topology: Topology) -> RenderableType:
    """Show the nodes and the sentinels; `?` stands for what is not known."""
    return Group(_nodes(topology), "", _sentinels(topology), "", *_write(topology))


def as_sentences(findings: Iterable[Finding], nothing: str = "Nothing is wrong.") -> RenderableType:
    """Show what is wrong, each with its remedy; where there is nothing, say so."""
    found = list(findings)
    lines = [
        Text.assemble((f"{finding.severity.upper()}: ", _COLOURS[finding.severity]), str(finding))
        for finding in found
    ]
    if any(finding.repairable for finding in found):
        lines.append(Text("`flask sentinel repair` looks at the conditions once more, asks, and does it."))
    return Group(*lines) if lines else Text(nothing, style="green")


def plain(value: Any) -> Any:
    """Return a part of a topology as `json` can write it: an endpoint is `host:port`, what is not known is null."""
    if isinstance(value, Vitals):
        return {**_plain_fields(value), "lags": {str(endpoint): lag_s for endpoint, lag_s in value.lags}}
    if is_dataclass(value):
        return _plain_fields(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple) and not isinstance(value, Endpoint):
        return [plain(each) for each in value]
    return _word(value)


def _word(value: Any) -> Any:
    if isinstance(value, Endpoint):
        return str(value)
    return value.name.lower() if isinstance(value, Role) else value


def _plain_fields(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}


def _write(topology: Topology) -> list[RenderableType]:
    """Say that a write was taken; that it was not is a finding."""
    write = topology.write
    if write is None or not write.taken:
        return []
    confirmed = "" if write.acknowledged is None else f", confirmed by {write.acknowledged} of its replicas"
    return [f"{write.node} has just taken a write within {1000 * write.took_s:.0f} ms{confirmed}."]


def _nodes(topology: Topology) -> Sheet:
    table = Sheet(
        (
            "Node",
            "Server",
            "Role",
            "Sentinels see",
            "Memory",
            "Behind",
            "Link",
            "AOF",
            "Priority",
            "Needs replicas",
        )
    )
    for node in topology.nodes:
        is_master = node.role is Role.MASTER
        table.add(
            str(node.endpoint),
            _shown(node.server),
            _role(node, topology),
            _views(topology, node),
            _memory(node),
            "" if is_master else _behind(topology, node),
            "" if is_master else _shown(node.link),
            _disk(node),
            _shown(node.priority),
            _needed(node),
        )
    return table


def _needed(node: NodeState) -> str:
    """Return how many replicas it needs to take writes, or only whether it needs any."""
    if node.min_replicas_to_write is not None:
        return str(node.min_replicas_to_write)
    return YES_OR_NO[node.needs_replicas]


def _views(topology: Topology, node: NodeState) -> str:
    """Return how many sentinels take it for what."""
    views = Counter(topology.views_of(node.endpoint).values())
    return ", ".join(f"{count} {view}" for view, count in views.most_common())


def _memory(node: NodeState) -> str:
    used, limit = node.vitals.memory_used, node.vitals.memory_limit
    if used is None:
        return "?"
    of = f" of {limit / MIB:.0f}" if limit else ""
    return f"{used / MIB:.1f}{of} MiB"


def _behind(topology: Topology, node: NodeState) -> str:
    behind, seconds = topology.lag_of(node), topology.lag_s_of(node)
    return f"{_shown(behind)} B, {_shown(seconds)} s"


def _disk(node: NodeState) -> str:
    """Return the state of the append-only file, and what a fork is writing."""
    state = {True: "on", False: "off", None: "?"}[node.appendonly]
    troubles = [
        f"{node.vitals.disk_error} error" if node.vitals.disk_error else "",
        "rewrite failed" if node.vitals.rewrite_failed else "",
        f"fork writes {node.vitals.fork}" if node.vitals.fork else "",
        "loading" if node.vitals.loading else "",
    ]
    return ", ".join([state, *filter(None, troubles)])


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
    table = Sheet(
        (
            "Sentinel",
            "Names as master",
            "Epoch",
            "Quorum",
            "Reaches peers",
            "Failover possible",
            "Tilt",
            "Sees",
        )
    )
    for sentinel in topology.sentinels:
        table.add(
            str(sentinel.endpoint),
            _shown(sentinel.master) if sentinel.answers else Text(sentinel.trouble or "silent", style="red"),
            _shown(sentinel.epoch),
            _shown(sentinel.quorum),
            _peers(sentinel),
            YES_OR_NO[sentinel.has_quorum],
            YES_OR_NO[sentinel.tilt],
            _sight(sentinel),
        )
    return table


def _peers(sentinel: SentinelState) -> str:
    if not sentinel.answers:
        return "?"
    reached = [each for each in sentinel.peers if not each.flags & {"s_down", "o_down", "disconnected"}]
    return f"{len(reached)} of {_shown(sentinel.other_sentinels)}"


def _sight(sentinel: SentinelState) -> str:
    """Return what it sees of the master beside that it is one."""
    seen = sorted(sentinel.flags - {"master"})
    return ", ".join(seen) or ("ok" if sentinel.answers else "?")


def _shown(value: object) -> str:
    return "?" if value is None else str(value)
