"""What is found wrong with a topology; each row changes one thing of a healthy one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.time_budget import RequestDeadline
from sentinel.topology.checks import findings_of, refusals_of
from sentinel.topology.findings import Severity
from sentinel.topology.snapshot import (
    KnownReplica,
    KnownSentinel,
    NodeState,
    SentinelState,
    Topology,
    Trouble,
)
from sentinel.topology.vitals import Vitals
from sentinel.topology.writes import Refusal, WriteAnswer

MASTER, ONE, TWO, STRANGER = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381, 666))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))
FULL = Vitals(memory_used=128 << 20, memory_limit=128 << 20)
BROKEN = Vitals(disk_error="AOF")
UP, DOWN = frozenset({"slave"}), frozenset({"slave", "s_down"})

Change = Callable[[Topology], Topology]


def _sentinel(endpoint: Endpoint) -> SentinelState:
    return SentinelState(
        endpoint,
        run_id=str(endpoint.port),
        master=MASTER,
        epoch=1,
        flags=frozenset({"master"}),
        other_sentinels=2,
        quorum=2,
        down_after_ms=5000,
        failover_timeout_ms=15000,
        ckquorum="OK 3 usable Sentinels.",
        tilt=False,
        replicas=tuple(KnownReplica(each, UP, 100) for each in (ONE, TWO)),
    )


def _node(endpoint: Endpoint, role: Role) -> NodeState:
    return NodeState(
        endpoint,
        role=role,
        follows=MASTER if role is Role.REPLICA else None,
        link="connected" if role is Role.REPLICA else None,
        offset=100,
        priority=100,
        needs_replicas=True,
        is_open=False,
        appendonly=True,
        maxmemory_policy="noeviction",
        version=(6, 2, 14),
    )


TAKEN = WriteAnswer(MASTER, 0.002, needed=1, acknowledged=2)
HEALTHY = Topology(
    "verifier",
    tuple(map(_sentinel, SENTINELS)),
    (_node(MASTER, Role.MASTER), _node(ONE, Role.REPLICA), _node(TWO, Role.REPLICA)),
    TAKEN,
)


def sentinels(count: int = 3, **change: object) -> Change:
    """Change the first `count` sentinels."""
    return lambda topology: replace(
        topology,
        sentinels=tuple(
            replace(each, **change) if number < count else each  # type: ignore[arg-type] # fields of several types
            for number, each in enumerate(topology.sentinels)
        ),
    )


def nodes(*changed: int, **change: object) -> Change:
    """Change the nodes of these numbers: 0 is the master, 1 and 2 its replicas."""
    return lambda topology: replace(
        topology,
        nodes=tuple(
            replace(each, **change) if number in changed else each  # type: ignore[arg-type] # the same
            for number, each in enumerate(topology.nodes)
        ),
    )


def silent_sentinels(count: int) -> Change:
    """Let the first sentinels not answer."""
    return troubled_sentinels(count, Trouble.SILENT, "it does not answer")


def troubled_sentinels(count: int, trouble: Trouble, error: str, *watches: str) -> Change:
    """Let the first sentinels name no master."""
    silent = tuple(SentinelState(each, error, trouble, watches) for each in SENTINELS[:count])
    return lambda topology: replace(topology, sentinels=(*silent, *topology.sentinels[count:]))


def silent_node(number: int, **change: object) -> Change:
    """Let a node not answer."""
    return lambda topology: replace(
        topology,
        nodes=tuple(
            NodeState(each.endpoint, error="it does not answer", **change) if index == number else each  # type: ignore[arg-type] # the same
            for index, each in enumerate(topology.nodes)
        ),
    )


def both(first: Change, second: Change) -> Change:
    """Change two things."""
    return lambda topology: second(first(topology))


def seen(endpoint: Endpoint, flags: frozenset[str]) -> Change:
    """Let all sentinels see a replica so."""
    return seen_as(KnownReplica(endpoint, flags, 100))


def wrote(**change: object) -> Change:
    """Let something else come of the write that was tried."""
    answer = replace(TAKEN, **change)  # type: ignore[arg-type] # the same
    return lambda topology: replace(topology, write=answer)


def without_write() -> Change:
    """Try no write."""
    return lambda topology: replace(topology, write=None)


def promoted() -> Change:
    """Promote the first replica: it keeps the history that it shared with the master as its former one."""
    return both(
        nodes(0, vitals=Vitals(history="old")),
        nodes(
            1, role=Role.MASTER, follows=None, link=None, vitals=Vitals(history="new", former_history="old")
        ),
    )


def heard_for(endpoint: Endpoint, seconds: float) -> Change:
    """Let the sentinels have heard for so long from a replica that it is a master."""
    return seen_as(KnownReplica(endpoint, UP, 100, Role.MASTER, reported_for_s=seconds))


def seen_as(known: KnownReplica) -> Change:
    """Let all sentinels see one replica so."""
    others = tuple(KnownReplica(each, UP, 100) for each in (ONE, TWO) if each != known.endpoint)
    return sentinels(replicas=(*others, known))


CRITICAL: list[tuple[str, Change, str]] = [
    ("no-sentinel", silent_sentinels(3), "10.0.0.2:26379"),
    ("quorum-lost", silent_sentinels(2), "Only 1 of 3"),
    ("quorum-lost", sentinels(1, ckquorum="NOQUORUM 1 usable Sentinels."), "NOQUORUM"),
    ("quorum-lost", both(silent_sentinels(1), sentinels(quorum=3)), "needs 3"),
    ("quorum-lost", troubled_sentinels(2, Trouble.WRONG_NAME, "it watches no such"), "Only 1 of 3"),
    (
        "no-sentinel",
        troubled_sentinels(3, Trouble.WRONG_NAME, "unknown", "mymaster"),
        "'verifier', but 'mymaster'.",
    ),
    (
        "no-sentinel",
        troubled_sentinels(3, Trouble.REFUSES_US, "WRONGPASS."),
        "refuse our login: WRONGPASS. The sentinels have users",
    ),
    (
        "no-sentinel",
        troubled_sentinels(3, Trouble.NO_SENTINEL, "it knows no SENTINEL"),
        "are none: it knows no SENTINEL.",
    ),
    (
        "no-sentinel",
        troubled_sentinels(3, Trouble.TLS_FAILS, "it shows a certificate that has expired: renew it."),
        "can be talked to over TLS: it shows a certificate that has expired: renew it.",
    ),
    ("locked-out", sentinels(2, flags=frozenset({"master", "s_down"})), "2 of 3 sentinels take the master"),
    (
        "locked-out",
        sentinels(
            flags=frozenset({"s_down"}), replicas=(KnownReplica(ONE, DOWN, 100), KnownReplica(TWO, DOWN, 100))
        ),
        "no failover can come",
    ),
    ("views-differ", sentinels(1, master=ONE), "10.0.0.1:6380 by 1"),
    ("master-silent", silent_node(0), "10.0.0.1:6379 gives no information"),
    ("rogue", nodes(0, role=Role.REPLICA, follows=STRANGER), "replica of 10.0.0.1:666"),
    ("rogue", nodes(0, role=Role.REPLICA, follows=STRANGER), "Sentinel takes 35 s"),
    (
        "rogue",
        both(
            nodes(0, role=Role.REPLICA, follows=STRANGER, version=(6, 2, 14)),
            sentinels(down_after_ms=1000),
        ),
        "Sentinel will never mend it (down-after is 1 s",
    ),
    ("rogue", nodes(1, follows=STRANGER), "which no sentinel knows"),
    (
        "rogue",
        both(nodes(0, role=Role.REPLICA, follows=ONE), nodes(1, follows=TWO)),
        "replica of 10.0.0.1:6380",
    ),
    ("two-masters", nodes(1, role=Role.MASTER, follows=None), "10.0.0.1:6380 says that it is a master"),
    ("two-masters", nodes(1, role=Role.MASTER, follows=None), "run REPLICAOF 10.0.0.1 6379 on it"),
    ("two-masters", both(promoted(), heard_for(ONE, 40.0)), "run REPLICAOF 10.0.0.1 6379 on it"),
    ("no-replica", nodes(1, 2, link="connect"), "10.0.0.1:6379"),
    ("no-replica", both(silent_node(1), both(nodes(2, link="sync"), seen(ONE, DOWN))), "10.0.0.1:6379"),
    ("no-candidate", nodes(1, 2, priority=0), "replica-priority 0"),
    ("master-unresolved", silent_node(0, is_unresolved=True), "10.0.0.1:6379 as the master, and that name"),
    ("too-old", nodes(1, version=(6, 0, 16)), "10.0.0.1:6380 runs Redis 6.0.16"),
    (
        "writes-refused",
        both(nodes(0, vitals=FULL), wrote(refusal=Refusal.MEMORY)),
        "memory is full (128 of 128 MiB)",
    ),
    ("writes-refused", both(nodes(0, vitals=FULL), wrote(refusal=Refusal.ACCESS, anonymous=True)), "128 MiB"),
    ("writes-refused", both(nodes(0, vitals=FULL), without_write()), "128 MiB"),
    ("writes-refused", both(nodes(0, vitals=BROKEN), wrote(refusal=Refusal.DISK)), "append-only file"),
    (
        "writes-refused",
        both(nodes(0, min_replicas_to_write=3), wrote(refusal=Refusal.REPLICAS)),
        "want 3 replicas",
    ),
    ("writes-refused", wrote(refusal=Refusal.REPLICAS), "has 2"),
    ("writes-refused", both(nodes(1, 2, link="connect"), without_write()), "want more replicas"),
    ("writes-refused", wrote(refusal=Refusal.HELD), "CLIENT PAUSE"),
    ("writes-refused", wrote(refusal=Refusal.ACCESS, error="WRONGPASS"), "WRONGPASS"),
    ("writes-refused", wrote(refusal=Refusal.NOT_READY, error="LOADING"), "LOADING"),
    ("writes-not-confirmed", wrote(acknowledged=0), "0 of the 1 replicas"),
    ("replica-would-refuse", nodes(1, vitals=FULL), "10.0.0.1:6380 would take no writes"),
    ("replica-would-refuse", nodes(1, vitals=BROKEN), "append-only file"),
    ("replica-would-refuse", nodes(1, min_replicas_to_write=3), "has 2"),
]
FORBIDDING: list[tuple[str, Change, str]] = [
    ("failover-in-progress", sentinels(1, flags=frozenset({"master", "failover_in_progress"})), "leading"),
    ("master-seen-down", sentinels(1, flags=frozenset({"master", "s_down"})), "is down"),
    ("sentinel-behind", sentinels(1, replicas=(KnownReplica(ONE, UP, 100, Role.MASTER),)), "10.0.0.1:6380"),
    ("tilt", sentinels(1, tilt=True), "TILT"),
    ("being-promoted", promoted(), "10.0.0.1:6380 has just been promoted"),
    ("unequal-priorities", nodes(1, priority=50), "10.0.0.1:6380 has 50"),
    ("replica-silent", silent_node(1), "10.0.0.1:6380 gives no information"),
    ("replica-not-in-sync", nodes(1, link="sync"), "'sync'"),
    ("replica-not-in-sync", nodes(1, follows=TWO), "follows 10.0.0.1:6381"),
    ("right-missing", sentinels(ckquorum=None, missing_rights=("sentinel|ckquorum",)), "+sentinel|ckquorum"),
    ("right-missing", sentinels(tilt=None, missing_rights=("info",)), "+info"),
    ("right-missing", nodes(0, appendonly=None, missing_rights=("info",)), "10.0.0.1:6379"),
]
HARMLESS: list[tuple[str, Change, str]] = [
    ("sentinel-silent", silent_sentinels(1), "10.0.0.2:26379 gives no information"),
    (
        "sentinel-refuses-us",
        troubled_sentinels(2, Trouble.REFUSES_US, "WRONGPASS."),
        "10.0.0.2:26380 runs, and refuses",
    ),
    (
        "sentinel-tls-fails",
        troubled_sentinels(2, Trouble.TLS_FAILS, "it does not speak TLS."),
        "10.0.0.2:26380 gives no information: it does not speak TLS.",
    ),
    ("sentinel-watches-others", troubled_sentinels(1, Trouble.WRONG_NAME, "", "other"), "but 'other'."),
    (
        "sentinel-no-sentinel",
        troubled_sentinels(1, Trouble.NO_SENTINEL, "unknown command"),
        "is none: unknown command.",
    ),
    ("replica-silent", both(silent_node(1), seen(ONE, DOWN)), "10.0.0.1:6380"),
    (
        "replica-silent",
        both(silent_node(1), seen_as(KnownReplica(ONE, DOWN, 100, down_for_s=7300.0))),
        "for 2 h. Start it, or find out why it can't be reached. If it was removed for good, have",
    ),
    ("replica-not-in-sync", both(nodes(1, link="connect"), seen(ONE, DOWN)), "10.0.0.1:6380"),
    (
        "replica-silent",
        both(silent_node(1), sentinels(replicas=(KnownReplica(ONE, DOWN, 100, Role.MASTER),))),
        "6380",
    ),
    ("sentinels-differ", sentinels(1, quorum=1), "10.0.0.2:26379 has 1"),
    ("sentinels-differ", sentinels(1, other_sentinels=1), "number of other sentinels"),
    ("failover-timeout", sentinels(failover_timeout_ms=1000), "1000 ms"),
    ("down-after", sentinels(1, down_after_ms=3000), "which is 30 s"),
    ("names", sentinels(replicas=(KnownReplica(Endpoint("redis-2", 6379), UP, 100),)), "(redis-2)"),
    (
        "names-mixed",
        sentinels(1, peers=(KnownSentinel(Endpoint("s-2", 1), UP, "2"),)),
        "some by address (10.0.0.1)",
    ),
    (
        "rogue-not-mended",
        both(nodes(2, version=(6, 2, 14)), sentinels(down_after_ms=3400)),
        "down-after is 3.4 s",
    ),
    ("setting", nodes(0, appendonly=False), "appendonly no"),
    ("setting", nodes(0, needs_replicas=False), "min-replicas-to-write 0"),
    ("setting", nodes(0, maxmemory_policy="allkeys-lru"), "allkeys-lru"),
    ("open", nodes(1, is_open=True), "10.0.0.1:6380 takes commands from everybody"),
    ("open", both(nodes(0, 1, is_open=True), sentinels(1, is_open=True)), "10.0.0.2:26379 take commands"),
    (
        "write-not-tried",
        wrote(refusal=Refusal.ACCESS, anonymous=True),
        "the app's login is not in the settings",
    ),
]


def test_healthy_topology_has_no_findings() -> None:
    """Nothing is found where nothing is wrong."""
    assert findings_of(HEALTHY) == []


@pytest.mark.parametrize(("code", "change", "said"), CRITICAL)
def test_critical(code: str, change: Change, said: str) -> None:
    """Writes fail now, or the next failover would; each forbids a switchover."""
    found = [each for each in findings_of(change(HEALTHY)) if each.code == code]
    assert found
    assert all(each.severity is Severity.CRITICAL and each.blocks_switchover for each in found)
    assert said in " ".join(map(str, found))


@pytest.mark.parametrize(("code", "change", "said"), FORBIDDING)
def test_warning_that_forbids_a_switchover(code: str, change: Change, said: str) -> None:
    """The service works, but this is no moment to move the master."""
    found = refusals_of(change(HEALTHY))
    assert {each.code for each in found} == {code}
    assert {each.severity for each in found} == {Severity.WARNING}
    assert said in " ".join(map(str, found))


@pytest.mark.parametrize(("code", "change", "said"), HARMLESS)
def test_warning_that_lets_a_switchover_go_on(code: str, change: Change, said: str) -> None:
    """It should be looked after, and stands in nobody's way."""
    topology = change(HEALTHY)
    assert refusals_of(topology) == []
    assert {each.code for each in findings_of(topology)} >= {code}
    assert said in " ".join(map(str, findings_of(topology)))


def test_requests_that_give_up_before_the_outage_is_over_are_found() -> None:
    """By the slowest sentinel and the slowest node, where they tell; it is no obstacle to a switchover."""
    deadline = RequestDeadline(10, "VERIFIER_REQUEST_DEADLINE")
    assert findings_of(HEALTHY, deadline) == []
    for change in (sentinels(down_after_ms=8000), nodes(2, sync_delay_s=5)):
        (found,) = findings_of(change(HEALTHY), deadline)
        assert (found.code, found.severity) == ("time-budget", Severity.WARNING)
        assert not found.blocks_switchover
        assert "VERIFIER_REQUEST_DEADLINE" in found.message
    unknown = both(sentinels(down_after_ms=None), nodes(2, sync_delay_s=5))
    assert findings_of(unknown(HEALTHY), deadline) == []


def test_priority_zero_on_one_replica_is_a_choice() -> None:
    """A replica that is never to be promoted is no mistake while another one can be."""
    assert findings_of(nodes(1, priority=0)(HEALTHY)) == []


def test_replicas_that_refuse_only_us_are_not_called_missing() -> None:
    """With a wrong password we can't see whether a replica is in sync, and do not claim that none is."""
    refused = both(silent_node(1, refused=True), silent_node(2, refused=True))(HEALTHY)
    assert {each.code for each in findings_of(refused)} == {"replica-silent"}
    assert "Start it" not in " ".join(map(str, findings_of(refused)))


def test_critical_findings_come_first() -> None:
    """What is worst is read first."""
    found = findings_of(both(nodes(0, appendonly=False), sentinels(1, master=ONE))(HEALTHY))
    severities = [each.severity for each in found]
    assert severities == sorted(severities, key=lambda each: each is not Severity.CRITICAL)
    assert severities[0] is Severity.CRITICAL


@pytest.mark.parametrize(("code", "change", "said"), CRITICAL + FORBIDDING + HARMLESS)
def test_finding_says_what_to_do(code: str, change: Change, said: str) -> None:
    """Every finding is two sentences at least: what is wrong, and the remedy."""
    for found in findings_of(change(HEALTHY)):
        assert found.message.endswith(".")
        assert found.remedy.endswith(".")


LEADING = sentinels(1, flags=frozenset({"master", "failover_in_progress", "o_down", "s_down"}))
UNSETTLED: dict[str, Change] = {
    "dead": both(LEADING, silent_node(0)),
    "dead, and a replica was promoted": both(LEADING, both(promoted(), silent_node(0))),
    "dead, and no leader answers": both(promoted(), silent_node(0)),
    "hung, and back while a replica was promoted": both(LEADING, promoted()),
    "ordered by hand": promoted(),
    "half of the views changed": both(sentinels(1, master=ONE), promoted()),
    "demoted, while a sentinel leads": both(LEADING, nodes(0, role=Role.REPLICA, follows=ONE)),
    "a replica led astray meanwhile": both(LEADING, both(silent_node(0), nodes(2, follows=STRANGER))),
}


@pytest.mark.parametrize("moment", UNSETTLED)
def test_nobody_is_told_to_give_orders_in_a_failover(moment: str) -> None:
    """REPLICAOF of a wrong node at a wrong moment is how data get lost; waiting is what helps."""
    found = findings_of(UNSETTLED[moment](HEALTHY))
    assert found
    assert "REPLICAOF 1" not in " ".join(each.remedy for each in found)
    assert "NO ONE" not in " ".join(each.remedy for each in found)


def test_a_node_is_sent_only_to_a_master_that_answers() -> None:
    """Where the named one is silent and nobody leads a failover either."""
    lost = both(silent_node(0), both(nodes(2, role=Role.MASTER, follows=None), heard_for(TWO, 40.0)))(HEALTHY)
    [found] = [each for each in findings_of(lost) if each.code == "two-masters"]
    assert "REPLICAOF" not in found.remedy


def test_too_few_replicas_right_after_a_failover_pass() -> None:
    """They attach within seconds; lowering min-replicas-to-write at that moment would be a mistake."""
    refused = wrote(refusal=Refusal.REPLICAS)
    for change, begins in (
        (sentinels(master_for_s=3.0), "During a failover"),
        (sentinels(master_for_s=300.0), "Bring"),
    ):
        [found] = [
            each for each in findings_of(both(refused, change)(HEALTHY)) if each.code == "writes-refused"
        ]
        assert found.remedy.startswith(begins)


def test_the_end_of_a_failover_is_no_rogue() -> None:
    """The sentinels still name a master that follows the one which was promoted: nobody did anything wrong."""
    ending = both(nodes(0, role=Role.REPLICA, follows=ONE), promoted())(HEALTHY)
    assert {each.code for each in findings_of(ending)} == {"failover-ending", "being-promoted"}


def test_who_refuses_us_is_not_told_to_be_started() -> None:
    """It runs: starting it again would help nobody."""
    for trouble in (Trouble.REFUSES_US, Trouble.TLS_FAILS, Trouble.WRONG_NAME, Trouble.NO_SENTINEL):
        for count in (1, 3):
            found = findings_of(troubled_sentinels(count, trouble, "words")(HEALTHY))
            assert "tart" not in " ".join(each.remedy for each in found)


def test_no_sentinel_is_to_forget_a_replica_during_a_failover() -> None:
    """It would forget whom it could promote."""
    away = both(silent_node(1), both(seen(ONE, DOWN), sentinels(1, flags=frozenset({"master", "o_down"}))))
    [found] = [each for each in findings_of(away(HEALTHY)) if each.code == "replica-silent"]
    assert "RESET" not in found.remedy


@pytest.mark.parametrize(
    ("version", "down_after_ms"), [((6, 2, 14), 3500), ((7, 0, 15), 1000), ((8, 1, 1), 1000), (None, 1000)]
)
def test_where_sentinel_mends_a_rogue_nobody_is_warned(
    version: tuple[int, ...] | None, down_after_ms: int
) -> None:
    """From Redis 7.0 on the replicas' links outlast it, and with a longer down-after on 6.2, too."""
    change = both(nodes(0, 1, 2, version=version), sentinels(down_after_ms=down_after_ms))
    assert "rogue-not-mended" not in {each.code for each in findings_of(change(HEALTHY))}


def test_a_down_after_that_is_too_short_for_anything_is_told_once() -> None:
    """That of the budget of time names TILT and REPLICAOF, on whatever version."""
    change = both(nodes(0, 1, 2, version=(6, 2, 14)), sentinels(down_after_ms=1000))
    codes = {each.code for each in findings_of(change(HEALTHY))}
    assert "down-after" in codes
    assert "rogue-not-mended" not in codes
