"""What is wrong with a topology, and what to do about it: pure findings on a snapshot.

A critical finding means that writes fail now or that the next failover would. Some findings are harmless in
everyday life but forbid a planned switchover. `SENTINEL CKQUORUM` alone says OK in several states where no
failover would come, so it is one check among others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint
from sentinel.topology import NodeState, Role, SentinelState, Topology

SHORTEST_FAILOVER_TIMEOUT_MS = 3000


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a name for programs, and for people what, where and what to do now."""

    code: str
    severity: Severity
    message: str
    remedy: str
    blocks_switchover: bool = False

    def __str__(self) -> str:
        """Give it as people read it."""
        return f"{self.message} {self.remedy}"


def _critical(code: str, message: str, remedy: str) -> Finding:
    return Finding(code, Severity.CRITICAL, message, remedy, blocks_switchover=True)


def _warning(code: str, message: str, remedy: str, *, blocks_switchover: bool = False) -> Finding:
    return Finding(code, Severity.WARNING, message, remedy, blocks_switchover)


def findings_of(topology: Topology) -> list[Finding]:
    """Judge a snapshot; the worst comes first."""
    found = [finding for check in _CHECKS for finding in check(topology)]
    return sorted(found, key=lambda finding: finding.severity is not Severity.CRITICAL)


def refusals_of(topology: Topology) -> list[Finding]:
    """Give what forbids a planned switchover."""
    return [finding for finding in findings_of(topology) if finding.blocks_switchover]


def _sentinels_answer(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.sentinels:
        if not sentinel.answers:
            yield _warning(
                "sentinel-silent",
                f"Sentinel {sentinel.endpoint} tells us nothing: {_sentence(sentinel.error)}",
                _right_or(sentinel, "Start it, or look why it can't be reached."),
            )


def _sentinels_agree(topology: Topology) -> Iterator[Finding]:
    if not topology.heard:
        yield _critical(
            "no-sentinel",
            f"None of the sentinels ({_list(each.endpoint for each in topology.sentinels)}) names the master "
            f"of {topology.master_name!r}.",
            "Look at what each of them says, and check the sentinels' addresses, the master name and the login.",
        )
    if len(topology.named_masters) > 1:
        views = ", ".join(f"{master} by {count}" for master, count in topology.named_masters.items())
        yield _critical(
            "views-differ",
            f"The sentinels name different masters: {views}.",
            "A failover is just ending, or they can't reach each other: look again in some seconds, then "
            "check the network between the sentinels.",
        )


def _quorum_is_there(topology: Topology) -> Iterator[Finding]:
    count, heard = topology.sentinel_count, len(topology.heard)
    needed = max([count // 2 + 1, *(each.quorum for each in topology.heard if each.quorum)])
    if heard < needed:
        yield _critical(
            "quorum-lost",
            f"Only {heard} of {count} sentinels answer, and a failover needs {needed}.",
            "Start the others again.",
        )
    for sentinel in topology.heard:
        if sentinel.has_quorum is False:
            yield _critical(
                "quorum-lost",
                f"Sentinel {sentinel.endpoint} could not have a failover agreed on: {_sentence(sentinel.ckquorum)}",
                "Start the other sentinels again, or mend the network between them.",
            )
        if sentinel.has_quorum is None:
            yield _right_missing(
                sentinel.endpoint, "sentinel|ckquorum", "whether a failover would be agreed on"
            )


def _master_is_master(topology: Topology) -> Iterator[Finding]:
    named, master = topology.named_master, topology.master
    if named is None or master is None:
        return
    if not master.answers:
        yield _critical(
            "master-silent",
            f"The master {named} tells us nothing: {_sentence(master.error)}",
            _right_or(
                master,
                "If Sentinel reaches it no better, a replica takes over soon; else mend our way to it.",
            ),
        )
    elif master.role is Role.REPLICA:
        yield _critical(
            "rogue",
            f"{named} is a replica of {master.follows}, though the sentinels name it as the master: a failover is "
            "just ending, or somebody gave it REPLICAOF.",
            f"If it lasts, run REPLICAOF NO ONE on {named} now; Sentinel itself takes about half a minute, in which "
            "all copies may be replaced by the stranger's data.",
        )


def _replicas_follow(topology: Topology) -> Iterator[Finding]:
    known = {node.endpoint for node in topology.nodes}
    for node in topology.replicas:
        if node.role is Role.MASTER:
            yield _critical(
                "two-masters",
                f"{node.endpoint} says that it is a master, though the sentinels name {topology.named_master}.",
                "Sentinel makes it a replica within about ten seconds of its return; if it does not, run "
                f"REPLICAOF {_words(topology.named_master)} there. What was written to it since is lost.",
            )
        elif node.follows is not None and node.follows not in known:
            yield _critical(
                "rogue",
                f"{node.endpoint} follows {node.follows}, which no sentinel knows.",
                f"Run REPLICAOF {_words(topology.named_master)} on {node.endpoint}.",
            )


def _replicas_are_ready(topology: Topology) -> Iterator[Finding]:
    ready = {node.endpoint for node in topology.healthy_replicas}
    for node in topology.replicas:
        if node.role is Role.REPLICA and node.endpoint not in ready:
            yield _warning(
                "replica-not-in-sync",
                f"The replica {node.endpoint} is not in sync: it follows {node.follows}, link {node.link!r}.",
                "Wait for it to catch up; if it does not, read its log.",
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )
        elif not node.answers:
            yield _warning(
                "replica-silent",
                f"The replica {node.endpoint} tells us nothing: {_sentence(node.error)}",
                _right_or(node, "Start it, or look why it can't be reached."),
                # Sentinel might choose it, and would then wait in vain for it to become the master.
                blocks_switchover=not topology.is_seen_down(node.endpoint),
            )


def _somebody_could_take_over(topology: Topology) -> Iterator[Finding]:
    if topology.named_master is None:
        return
    if not topology.healthy_replicas:
        yield _critical(
            "no-replica",
            f"No replica is in sync with the master {topology.named_master}.",
            "Bring one back: until then nobody can take over, and writes that need a replica are refused.",
        )
    elif not topology.candidates:
        yield _critical(
            "no-candidate",
            "All replicas that are in sync have replica-priority 0, so Sentinel never promotes any.",
            "Set replica-priority 100 on them.",
        )


def _priorities_are_equal(topology: Topology) -> Iterator[Finding]:
    priorities = {node.endpoint: node.priority for node in topology.nodes if node.priority}
    if len(set(priorities.values())) > 1:
        told = ", ".join(f"{endpoint} {priority}" for endpoint, priority in priorities.items())
        yield _warning(
            "unequal-priorities",
            f"The nodes' replica-priority differs ({told}), and it beats how much data a replica has.",
            "Set the same on all of them (CONFIG SET replica-priority 100, then CONFIG REWRITE).",
            blocks_switchover=True,
        )


def _nothing_is_under_way(topology: Topology) -> Iterator[Finding]:
    for sentinel in topology.heard:
        if "failover_in_progress" in sentinel.flags:
            yield _warning(
                "failover-in-progress",
                f"Sentinel {sentinel.endpoint} is leading a failover just now.",
                "Wait until it is over.",
                blocks_switchover=True,
            )
        if sentinel.flags & {"s_down", "o_down"}:
            yield _warning(
                "master-seen-down",
                f"Sentinel {sentinel.endpoint} takes the master {sentinel.master} for down.",
                "Wait for the failover that follows, or look why this sentinel can't reach it.",
                blocks_switchover=True,
            )
        if sentinel.tilt:
            yield _warning(
                "tilt",
                f"Sentinel {sentinel.endpoint} is in TILT: its clock jumped or it stood still, so it does nothing.",
                "Wait 30 s; if it comes again, look at this machine's clock and load.",
                blocks_switchover=True,
            )


def _sentinels_are_alike(topology: Topology) -> Iterator[Finding]:
    asked: tuple[tuple[str, Callable[[SentinelState], int | None]], ...] = (
        ("quorum", lambda each: each.quorum),
        ("down-after-milliseconds", lambda each: each.down_after_ms),
        ("failover-timeout", lambda each: each.failover_timeout_ms),
        ("number of other sentinels", lambda each: each.other_sentinels),
    )
    for name, value in asked:
        values = {each.endpoint: value(each) for each in topology.heard}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{endpoint} {number}" for endpoint, number in values.items())
            yield _warning(
                "sentinels-differ", f"The sentinels differ in {name}: {told}.", "Make it the same."
            )
    shortest = min((each.failover_timeout_ms or 0 for each in topology.heard), default=0)
    if 0 < shortest < SHORTEST_FAILOVER_TIMEOUT_MS:
        yield _warning(
            "failover-timeout",
            f"failover-timeout is {shortest} ms, too short for a promotion on a busy machine.",
            "Set 15000 on all sentinels.",
        )


def _settings_keep_data(topology: Topology) -> Iterator[Finding]:
    for node in topology.nodes:
        if node.appendonly is False:
            yield _setting(node, "appendonly no", "a restart loses what it had", "appendonly yes")
        if node.min_replicas_to_write == 0 and topology.replicas:
            yield _setting(
                node, "min-replicas-to-write 0", "a master that was cut off collects what will be lost",
                "min-replicas-to-write 1",
            )  # fmt: skip
        if node.maxmemory_policy not in {None, "noeviction"}:
            yield _setting(
                node, f"maxmemory-policy {node.maxmemory_policy}", "a full memory drops queued mails in silence",
                "maxmemory-policy noeviction",
            )  # fmt: skip
        if "config|get" in node.missing_rights:
            yield _right_missing(node.endpoint, "config|get", "the settings")


def orders_refused(master: Endpoint, orders: Iterable[str]) -> Finding:
    """Say that a switchover would get stuck because the master does not take our orders."""
    return _critical(
        "right-missing",
        f"The master {master} would not take these orders of a switchover from our user: {', '.join(orders)}.",
        "Give the operators' user in the settings, or give that user these rights.",
    )


def _setting(node: NodeState, found: str, consequence: str, wanted: str) -> Finding:
    return _warning(
        "setting", f"{node.endpoint} has {found}: {consequence}.", f"Set {wanted} in its redis.conf."
    )


def _right_missing(endpoint: Endpoint, right: str, what: str) -> Finding:
    return _warning(
        "right-missing",
        f"{endpoint} does not tell us {what}: our user lacks the right +{right}.",
        "Give the operators' users in VERIFIER_REDIS_OPS_USERNAME and VERIFIER_SENTINEL_OPS_USERNAME.",
        blocks_switchover=right.startswith("sentinel"),
    )


def _right_or(state: NodeState | SentinelState, remedy: str) -> str:
    if state.missing_rights:
        return f"Give our user the right {', '.join('+' + right for right in state.missing_rights)}."
    return remedy


def _sentence(text: str | None) -> str:
    return (text or "no reason known").rstrip(". ") + "."


def _list(endpoints: Iterable[Endpoint]) -> str:
    return ", ".join(map(str, endpoints)) or "none is configured"


def _words(endpoint: Endpoint | None) -> str:
    return f"{endpoint.host} {endpoint.port}" if endpoint else "HOST PORT"


_CHECKS: tuple[Callable[[Topology], Iterator[Finding]], ...] = (
    _sentinels_agree,
    _quorum_is_there,
    _master_is_master,
    _replicas_follow,
    _somebody_could_take_over,
    _priorities_are_equal,
    _nothing_is_under_way,
    _sentinels_answer,
    _replicas_are_ready,
    _sentinels_are_alike,
    _settings_keep_data,
)
