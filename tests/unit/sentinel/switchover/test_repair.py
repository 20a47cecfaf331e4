"""When a master that was led away may be given its role back: each row breaks one condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.switchover.repair import NothingToRepair, RepairPlan, RepairRefused, plan_repair
from sentinel.topology.snapshot import NodeState, SentinelState, Topology, Trouble
from sentinel.topology.vitals import Vitals

MASTER, ONE, TWO, STRANGER = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381, 666))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))

LED_AWAY = Topology(
    "verifier",
    tuple(
        SentinelState(each, master=MASTER, flags=frozenset({"master"}), other_sentinels=2, tilt=False)
        for each in SENTINELS
    ),
    (
        NodeState(MASTER, role=Role.REPLICA, follows=STRANGER, link="connect"),
        NodeState(ONE, role=Role.REPLICA, follows=MASTER, link="connect"),
        NodeState(TWO, role=Role.REPLICA, follows=MASTER, link="connect"),
    ),
)


def _node(number: int, **change: object) -> Topology:
    nodes = list(LED_AWAY.nodes)
    nodes[number] = replace(nodes[number], **change)  # type: ignore[arg-type] # fields of several types
    return replace(LED_AWAY, nodes=tuple(nodes))


def _sentinels(count: int, **change: object) -> Topology:
    changed = [replace(each, **change) for each in LED_AWAY.sentinels[:count]]  # type: ignore[arg-type] # the same
    return replace(LED_AWAY, sentinels=(*changed, *LED_AWAY.sentinels[count:]))


def _silent(count: int) -> Topology:
    silent = [SentinelState(each, "it does not answer", Trouble.SILENT) for each in SENTINELS[:count]]
    return replace(LED_AWAY, sentinels=(*silent, *LED_AWAY.sentinels[count:]))


def _follows_a_silent_one() -> Topology:
    topology = _node(0, follows=ONE)
    nodes = (topology.nodes[0], NodeState(ONE, error="it does not answer"), topology.nodes[2])
    return replace(topology, nodes=nodes)


def test_a_master_led_away_by_a_stranger_is_to_be_released() -> None:
    """It alone, and whom it follows is told."""
    assert plan_repair(LED_AWAY) == RepairPlan(MASTER, STRANGER)


@pytest.mark.parametrize(
    "topology",
    [
        lambda: _node(0, follows=ONE),
        lambda: _node(0, link="connecting"),
        lambda: _node(0, link="sync", vitals=Vitals(loading=False)),
        lambda: _node(1, role=None, error="it does not answer"),
        lambda: _silent(1),
        lambda: _sentinels(3, flags=frozenset({"master", "s_down", "o_down"})),
    ],
    ids=["by its own replica", "connecting", "copying", "a replica silent", "a sentinel silent", "seen down"],
)
def test_what_stands_in_nobodys_way(topology: Callable[[], Topology]) -> None:
    """Sentinels see such a master as down after a while; that is when it matters most."""
    assert plan_repair(topology()).node == MASTER


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        (lambda: _silent(2), "Only 1 of 3 sentinels"),
        (lambda: _sentinels(1, flags=frozenset({"master", "failover_in_progress"})), "is leading a failover"),
        (lambda: _sentinels(1, tilt=True), "is in TILT"),
        (lambda: _sentinels(1, tilt=None), "does not tell us whether it is in TILT"),
        (lambda: _node(1, role=Role.MASTER, follows=None), "10.0.0.1:6380 says that it is a master"),
        (_follows_a_silent_one, "which is silent"),
        (lambda: _node(0, role=None, error="it does not answer"), "it does not answer"),
        (lambda: _node(0, link="connected"), "its data are that one's"),
        (lambda: _node(0, link="sync", vitals=Vitals(loading=True)), "its data are that one's"),
    ],
)
def test_each_condition_refuses_it(topology: Callable[[], Topology], said: str) -> None:
    """Nothing is touched, and the reason is said."""
    with pytest.raises((RepairRefused, NothingToRepair), match="Nothing") as refused:
        plan_repair(topology())
    assert said in str(refused.value)


def test_a_master_is_left_alone() -> None:
    """There is nothing to do."""
    with pytest.raises(NothingToRepair, match=r"10\.0\.0\.1:6379 is the master by its own word"):
        plan_repair(_node(0, role=Role.MASTER, follows=None, link=None))
