"""Whether enough sentinels answer and agree for a failover."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.findings import Finding, critical, remedy_for, silence, warning
from sentinel.topology.snapshot import Topology


def _a_master_is_named(topology: Topology) -> Iterator[Finding]:
    if not topology.answering:
        asked = ", ".join(str(each.endpoint) for each in topology.sentinels) or "none is configured"
        yield critical(
            "no-sentinel",
            f"None of the sentinels ({asked}) names the master of {topology.master_name!r}.",
            "Check their addresses, the master name and the login in the settings, and whether they run.",
        )


def _views_agree(topology: Topology) -> Iterator[Finding]:
    if len(topology.named_masters) > 1:
        views = ", ".join(f"{master} by {count}" for master, count in topology.named_masters.items())
        yield critical(
            "views-differ",
            f"The sentinels name different masters: {views}.",
            "A failover may just be ending: look again in some seconds, then check the network between them.",
        )


def _quorum_is_there(topology: Topology) -> Iterator[Finding]:
    count, answering = topology.sentinel_count, len(topology.answering)
    needed = max([count // 2 + 1, *(each.quorum for each in topology.answering if each.quorum)])
    if answering < needed:
        yield critical(
            "quorum-lost",
            f"Only {answering} of {count} sentinels answer, and a failover needs {needed}.",
            "Start the others again.",
        )
    for sentinel in topology.answering:
        if sentinel.has_quorum is False:
            yield critical(
                "quorum-lost",
                f"Sentinel {sentinel.endpoint} could not get a majority for a failover: {sentinel.ckquorum}",
                "Start the other sentinels again, or mend the network between them.",
            )


def _each_sentinel_answers(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.sentinels:
        if not sentinel.answers:
            yield warning(
                "sentinel-silent",
                f"Sentinel {silence(sentinel)}",
                remedy_for(sentinel, "Start it, or find out why it can't be reached."),
            )


CHECKS = (
    _a_master_is_named,
    _views_agree,
    _quorum_is_there,
    _each_sentinel_answers,
)
