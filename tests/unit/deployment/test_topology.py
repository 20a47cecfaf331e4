"""What `make deployment-test` reads from the sentinels: whether all is whole, and what their logs say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from sentinel import Endpoint, NodeState, Role, SentinelState, Topology
from sentinel.topology.snapshot import KnownReplica
from tests.deployment.deployment import Deployment
from tests.deployment.topology import faults_in, read_logs

MASTER, *REPLICAS = (Endpoint(f"10.1.2.{number}", 6379) for number in (11, 12, 13))
NODES = (
    NodeState(MASTER, role=Role.MASTER),
    *(NodeState(each, role=Role.REPLICA, follows=MASTER, link="connected") for each in REPLICAS),
)
SENTINELS = tuple(
    SentinelState(
        Endpoint(f"10.1.2.{number}", 26379),
        run_id=str(number),
        master=MASTER,
        flags=frozenset({"master"}),
        ckquorum="OK 3 usable Sentinels",
        tilt=False,
        replicas=tuple(KnownReplica(each, frozenset({"slave"}), 100) for each in REPLICAS),
    )
    for number in (21, 22, 23)
)
WHOLE = Topology("verifier", SENTINELS, NODES)


def _with_sentinel(**changes: object) -> Topology:
    return replace(WHOLE, sentinels=(replace(SENTINELS[0], **changes), *SENTINELS[1:]))  # type: ignore[arg-type]


def test_a_whole_topology_has_no_fault() -> None:
    """Then another fault may be injected."""
    assert faults_in(WHOLE) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        _with_sentinel(master=None),
        _with_sentinel(master=REPLICAS[0]),
        _with_sentinel(flags=frozenset({"master", "failover_in_progress"})),
        _with_sentinel(tilt=True),
        _with_sentinel(ckquorum="NOQUORUM"),
        _with_sentinel(replicas=SENTINELS[0].replicas[:1]),
        _with_sentinel(
            replicas=tuple(replace(each, flags=frozenset({"s_down"})) for each in SENTINELS[0].replicas)
        ),
        replace(WHOLE, sentinels=SENTINELS[:2]),
        replace(WHOLE, nodes=NODES[:2]),
        replace(WHOLE, nodes=(replace(NODES[0], role=None), *NODES[1:])),
        replace(WHOLE, nodes=(*NODES[:2], replace(NODES[2], link="sync"))),
    ],
)
def test_whatever_a_fault_leaves_behind_is_seen(spoilt: Topology) -> None:
    """So that no row starts with what the row before it broke."""
    assert faults_in(spoilt) != []


class _Container:
    """A container with a log."""

    def __init__(self, service: str, log: str) -> None:
        self.service = service
        self._log = log

    def log(self, lines: int) -> str:
        return "".join(self._log.splitlines(keepends=True)[-lines:])


class _Deployment:
    """A deployment of which only logs are known."""

    def __init__(self, **logs: str) -> None:
        self._containers = [_Container(name.replace("_", "-"), log) for name, log in logs.items()]

    def containers(self) -> list[_Container]:
        return self._containers


def test_the_sentinels_logs_tell_of_stalls_and_of_the_switch() -> None:
    """Those before the fault do not count, nor does what other services write."""
    old = "1:X 25 Nov 2026 16:00:00.000 # +tilt #tilt mode entered\n"
    stall = "1:X 25 Nov 2026 16:00:06.000 # -failover-abort-no-good-slave master verifier\n"
    first = "1:X 25 Nov 2026 16:00:05.250 # +switch-master verifier 10.1.2.11 6379 10.1.2.12 6379\n"
    later = first.replace("05.250", "06.250")
    deployment = _Deployment(sentinel_1=old + later, sentinel_2=first + stall, worker=stall)
    logs = read_logs(cast("Deployment", deployment), datetime(2026, 11, 25, 16, 0, 1, tzinfo=UTC))
    assert logs.stalls == ("sentinel-2 -failover-abort-no-good-slave",)
    assert logs.switched_at == datetime(2026, 11, 25, 16, 0, 5, 250_000, tzinfo=UTC)
