"""What the doctor finds beside the status, where no process is broken easily; and that each finding says why."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.topology.doctor import diagnosis_of
from sentinel.topology.doctor.examination import Examination, Process
from sentinel.topology.doctor.reasons import WHY
from sentinel.topology.snapshot import NodeState, SentinelState, Topology, Trouble

MASTER, REPLICA = (Endpoint("10.0.0.1", port) for port in (6379, 6380))
SENTINELS = tuple(Endpoint("10.0.0.2", port) for port in (26379, 26380, 26381))
INFO = {
    "maxmemory": str(128 << 20),
    "used_memory": str(20 << 20),
    "mem_not_counted_for_evict": "0",
    "total_system_memory": str(4 << 30),
    "repl_backlog_size": str(16 << 20),
    "aof_enabled": "1",
    "rdb_last_bgsave_status": "ok",
    "aof_last_bgrewrite_status": "ok",
}


def _sentinel(endpoint: Endpoint, **change: Any) -> SentinelState:
    state = SentinelState(
        endpoint,
        run_id=str(endpoint.port),
        master=MASTER,
        other_sentinels=2,
        quorum=2,
        down_after_ms=4000,
        failover_timeout_ms=5000,
        ckquorum="OK",
        tilt=False,
    )
    return replace(state, **change)


TOPOLOGY = Topology(
    "verifier",
    tuple(map(_sentinel, SENTINELS)),
    (
        NodeState(MASTER, role=Role.MASTER, offset=1, priority=100, needs_replicas=True, appendonly=True),
        NodeState(
            REPLICA,
            role=Role.REPLICA,
            follows=MASTER,
            link="connected",
            offset=1,
            priority=100,
            needs_replicas=True,
            appendonly=True,
        ),
    ),
)
HEALTHY = Examination(
    TOPOLOGY,
    (
        Process(MASTER, INFO, denials=(), tries_rights=True, clock_ahead_s=0.1),
        Process(REPLICA, INFO, denials=(), tries_rights=True, clock_ahead_s=0.2),
    ),
    tuple(Process(each, denials=(), tries_rights=True) for each in SENTINELS),
    uses_tls=False,
    named_sentinels=SENTINELS,
    quorum_on_file=2,
)


def _codes(examination: Examination) -> list[str]:
    return [each.code for each in diagnosis_of(examination).findings]


def _with_info(**change: str) -> Examination:
    master, replica = HEALTHY.nodes
    return replace(HEALTHY, nodes=(replace(master, info={**INFO, **change}), replica))


def test_a_healthy_topology() -> None:
    """Nothing is found, and what nobody can see is said."""
    diagnosis = diagnosis_of(HEALTHY)
    assert diagnosis.findings == ()
    assert any("vm.overcommit_memory" in each for each in diagnosis.unseen)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rdb_last_bgsave_status": "err"}, "fork-failed"),
        ({"aof_last_bgrewrite_status": "err"}, "fork-failed"),
        ({"aof_delayed_fsync": "1000"}, "slow-disk"),
        ({"total_system_memory": str(200 << 20)}, "memory-of-machine"),
    ],
)
def test_what_info_tells_of_a_node(change: dict[str, str], code: str) -> None:
    """One node is enough, and it is named."""
    [finding] = diagnosis_of(_with_info(**change)).findings
    assert finding.code == code
    assert str(MASTER) in finding.message


@pytest.mark.parametrize(("saved_at", "is_found"), [(1000, True), (5000, False)])
def test_a_node_with_snapshots_alone_is_not_empty_after_a_restart(saved_at: int, is_found: bool) -> None:
    """A snapshot as old as its process was never written."""
    told = {
        "aof_enabled": "0",
        "server_time_usec": str(9000 * 10**6),
        "uptime_in_seconds": "8000",
        "rdb_last_save_time": str(saved_at),
        "rdb_changes_since_last_save": "0",
    }
    assert ("empty-restart" in _codes(_with_info(**told))) is is_found


@pytest.mark.parametrize(("save", "is_found"), [("", True), ("3600 1", False)])
def test_where_settings_may_be_read_they_decide(save: str, is_found: bool) -> None:
    """A plain deployment tells whether it writes snapshots."""
    master, replica = HEALTHY.nodes
    plain = replace(master, info={**INFO, "aof_enabled": "0"}, settings={"save": save})
    assert ("empty-restart" in _codes(replace(HEALTHY, nodes=(plain, replica)))) is is_found


def test_a_replicas_buffer_is_counted_as_set() -> None:
    """As large as the machine: it does not hold it beside the data."""
    master, replica = HEALTHY.nodes
    settings = {"save": "", "client-output-buffer-limit": f"normal 0 0 0 slave {4 << 30} 0 0 pubsub 1 1 60"}
    assert _codes(replace(HEALTHY, nodes=(replace(master, settings=settings), replica))) == [
        "memory-of-machine"
    ]


def test_clocks_that_differ() -> None:
    """By more than a second; both are named."""
    master, replica = HEALTHY.nodes
    [finding] = diagnosis_of(replace(HEALTHY, nodes=(master, replace(replica, clock_ahead_s=-2.0)))).findings
    assert finding.code == "clocks-differ"
    assert f"The clock of {MASTER} is 2.1 s ahead of that of {REPLICA}." in finding.message


def test_certificates_and_encryption() -> None:
    """A certificate that ends soon; no encryption on public addresses only."""
    master, replica = HEALTHY.nodes
    ending = replace(HEALTHY, nodes=(replace(master, certificate_days=3.0), replica), uses_tls=True)
    assert _codes(ending) == ["certificate-ends"]
    public = replace(HEALTHY, nodes=(replace(master, endpoint=Endpoint("8.8.8.8", 6379)), replica))
    assert "not-encrypted" in _codes(public)


def test_numbers_of_sentinels() -> None:
    """Two are too few, four are one too many or too few."""
    four = tuple(
        _sentinel(each, other_sentinels=3, quorum=3) for each in (*SENTINELS, Endpoint("10.0.0.3", 26379))
    )
    even = replace(HEALTHY, topology=replace(TOPOLOGY, sentinels=four), quorum_on_file=3)
    assert _codes(even) == ["even-sentinels"]
    two = tuple(_sentinel(each, other_sentinels=1, quorum=2) for each in SENTINELS[:2])
    assert _codes(replace(HEALTHY, topology=replace(TOPOLOGY, sentinels=two))) == ["few-sentinels"]


def test_a_silent_sentinel_of_the_settings_did_not_leave() -> None:
    """It is to be started; one that only the others know may be gone for good."""
    silent = SentinelState(SENTINELS[2], "it does not answer", Trouble.SILENT)
    away = replace(HEALTHY, topology=replace(TOPOLOGY, sentinels=(*TOPOLOGY.sentinels[:2], silent)))
    assert _codes(away) == ["sentinel-silent"]
    assert "stale-sentinels" in _codes(replace(away, named_sentinels=SENTINELS[:2]))


def test_each_finding_says_why() -> None:
    """Of the doctor's and of the status's checks; and no reason is left over."""
    codes = {f"sentinel-{trouble.lower().replace(' ', '-')}" for trouble in Trouble}
    for file in Path("sentinel/topology").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"critical", "warning"}:
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    codes.add(str(code.value))
    assert codes == set(WHY)
