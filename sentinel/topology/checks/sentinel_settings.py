"""Whether the sentinels are set alike, leave a failover enough time, and may be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentinel.time_budget import is_too_hasty
from sentinel.topology.findings import Finding, right_missing, warning
from sentinel.topology.healing import mends_a_rogue_within_s, never_mends_because
from sentinel.topology.snapshot import SentinelState, Topology

# A promotion on a busy machine takes longer than a shorter one allows.
SHORTEST_FAILOVER_TIMEOUT_MS = 3000
_ALIKE: tuple[tuple[str, Callable[[SentinelState], int | None]], ...] = (
    ("quorum", lambda each: each.quorum),
    ("down-after-milliseconds", lambda each: each.down_after_ms),
    ("failover-timeout", lambda each: each.failover_timeout_ms),
    ("the number of other sentinels", lambda each: each.other_sentinels),
)


def _sentinels_may_be_asked(topology: Topology) -> Iterator[Finding]:
    asked = {
        "sentinel|ckquorum": "whether a failover could be agreed on",
        "info": "whether they are in TILT",
    }
    for right, what in asked.items():
        unknown = [each.endpoint for each in topology.answering if right in each.missing_rights]
        if unknown:
            yield right_missing(unknown, right, what, blocks_switchover=True)


def _sentinels_are_alike(topology: Topology) -> Iterator[Finding]:
    for name, value in _ALIKE:
        values = {each.endpoint: value(each) for each in topology.answering}
        if len(set(values.values())) > 1:
            found = ", ".join(f"{endpoint} has {number}" for endpoint, number in values.items())
            yield warning(
                "sentinels-differ",
                f"The sentinels differ in {name}: {found}.",
                "Make them the same, or start those that are missing.",
            )


def _there_is_time_to_promote(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.answering:
        timeout_ms = sentinel.failover_timeout_ms
        if timeout_ms is not None and timeout_ms < SHORTEST_FAILOVER_TIMEOUT_MS:
            yield warning(
                "failover-timeout",
                f"Sentinel {sentinel.endpoint} allows a failover only {timeout_ms} ms (failover-timeout).",
                "Set 5000.",
            )


def _a_rogue_would_be_mended(topology: Topology) -> Iterator[Finding]:
    times_ms = [each.down_after_ms for each in topology.answering if each.down_after_ms]
    if any(is_too_hasty(each / 1000) for each in times_ms):
        return  # said by the budget of time, on whatever version
    if times_ms and mends_a_rogue_within_s(topology) is None:
        yield warning(
            "rogue-not-mended",
            "If somebody gave the master REPLICAOF, Sentinel would never mend it: "
            f"{never_mends_because(topology)}.",
            "Set down-after-milliseconds 4000 on every sentinel (SENTINEL SET), or run Redis 7.",
        )


CHECKS = (
    _sentinels_may_be_asked,
    _sentinels_are_alike,
    _there_is_time_to_promote,
    _a_rogue_would_be_mended,
)
