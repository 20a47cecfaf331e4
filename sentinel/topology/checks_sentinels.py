"""Findings about the sentinels: whether they answer, agree, and could have a failover done."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentinel.protocol import Role
from sentinel.topology.findings import Finding, critical, remedy_for, right_missing, silence, warning
from sentinel.topology.snapshot import SentinelState, Topology

# A promotion on a busy machine takes longer than a shorter one allows.
SHORTEST_FAILOVER_TIMEOUT_MS = 3000
_ALIKE: tuple[tuple[str, Callable[[SentinelState], int | None]], ...] = (
    ("quorum", lambda each: each.quorum),
    ("down-after-milliseconds", lambda each: each.down_after_ms),
    ("failover-timeout", lambda each: each.failover_timeout_ms),
    ("the number of other sentinels", lambda each: each.other_sentinels),
)


def _somebody_names_a_master(topology: Topology) -> Iterator[Finding]:
    if not topology.heard:
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
    count, heard = topology.sentinel_count, len(topology.heard)
    needed = max([count // 2 + 1, *(each.quorum for each in topology.heard if each.quorum)])
    if heard < needed:
        yield critical(
            "quorum-lost",
            f"Only {heard} of {count} sentinels answer, and a failover needs {needed}.",
            "Start the others again.",
        )
    for sentinel in topology.heard:
        if sentinel.has_quorum is False:
            yield critical(
                "quorum-lost",
                f"Sentinel {sentinel.endpoint} could get no failover agreed on: {sentinel.ckquorum}",
                "Start the other sentinels again, or mend the network between them.",
            )


def _they_may_be_asked(topology: Topology) -> Iterator[Finding]:
    asked = {
        "sentinel|ckquorum": "whether a failover could be agreed on",
        "info": "whether they are in TILT",
    }
    for right, what in asked.items():
        silent = [each.endpoint for each in topology.heard if right in each.missing_rights]
        if silent:
            yield right_missing(silent, right, what, blocks_switchover=True)


def _each_answers(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.sentinels:
        if not sentinel.answers:
            yield warning(
                "sentinel-silent",
                f"Sentinel {silence(sentinel)}",
                remedy_for(sentinel, "Start it, or look why it can't be reached."),
            )


def _nothing_is_under_way(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.heard:
        if "failover_in_progress" in sentinel.flags:
            yield warning(
                "failover-in-progress",
                f"Sentinel {sentinel.endpoint} is leading a failover just now.",
                "Wait until it is over.",
                blocks_switchover=True,
            )
        if sentinel.flags & {"s_down", "o_down"}:
            yield warning(
                "master-seen-down",
                f"Sentinel {sentinel.endpoint} takes the master {sentinel.master} for down.",
                "Wait for the failover that follows, or look why this sentinel can't reach it.",
                blocks_switchover=True,
            )


def _last_failover_is_known(topology: Topology) -> Iterator[Finding]:
    """Look for what undoes a second failover soon after a first.

    A sentinel asks replicas for their role each ten seconds. One that still believes that a demoted master is a
    master sends it back (`+convert-to-slave`) as soon as it hears the same again, newly promoted or not.
    """
    for sentinel in topology.heard:
        for known in sentinel.replicas:
            if known.reported is Role.MASTER and not known.is_down:
                yield warning(
                    "sentinel-behind",
                    f"Sentinel {sentinel.endpoint} has not noticed yet that {known.endpoint} is a replica now.",
                    "Try again in ten seconds.",
                    blocks_switchover=True,
                )


def _none_is_in_tilt(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.heard:
        if sentinel.tilt:
            yield warning(
                "tilt",
                f"Sentinel {sentinel.endpoint} is in TILT: its clock jumped or it stood still, so it only looks on.",
                "It ends after 30 s; if it comes again, look at the clock and the load of its machine.",
                blocks_switchover=True,
            )


def _they_are_alike(topology: Topology) -> Iterator[Finding]:
    for name, value in _ALIKE:
        values = {each.endpoint: value(each) for each in topology.heard}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{endpoint} has {number}" for endpoint, number in values.items())
            yield warning(
                "sentinels-differ",
                f"The sentinels differ in {name}: {told}.",
                "Make them the same, or start those that are missing.",
            )


def _there_is_time_to_promote(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.heard:
        timeout_ms = sentinel.failover_timeout_ms
        if timeout_ms is not None and timeout_ms < SHORTEST_FAILOVER_TIMEOUT_MS:
            yield warning(
                "failover-timeout",
                f"Sentinel {sentinel.endpoint} gives a failover only {timeout_ms} ms (failover-timeout).",
                "Set 15000.",
            )


CHECKS = (
    _somebody_names_a_master,
    _views_agree,
    _quorum_is_there,
    _they_may_be_asked,
    _each_answers,
    _nothing_is_under_way,
    _last_failover_is_known,
    _none_is_in_tilt,
    _they_are_alike,
    _there_is_time_to_promote,
)
