"""Reaching and watching Redis through Sentinel. Knows nothing of verifications, mails or Flask.

This module is the public face: whoever is outside imports from here and from nowhere deeper. The rooms:

    link/        the way to the master, wherever it goes: what an app and its workers hold
    topology/    a frozen snapshot of everybody, what is wrong with it, and commands to single nodes
    switchover/  the planned move of the master, which loses nothing, and the repair of one that was led away
    local/       an embedded topology on loopback, for development, tests and drills
    config/      the files of Redis and Sentinel: the same for a deployment and for the embedded topology

beside them what all rooms share: `access`, `tls`, `endpoints`, `direct_connection`, `exchange`, `protocol` (the replies, parsed),
`backoff`, `observer`, `errors` and `error_classes`. What only operators and developers need is imported when it is first asked
for: a web process carries none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sentinel.access import Access, Login, WriteProbe
from sentinel.backoff import Backoff
from sentinel.deadline import bounded_s, remaining_s, request_deadline
from sentinel.endpoints import Endpoint, parse_endpoint
from sentinel.errors import (
    TRANSIENT,
    AccessRefused,
    Backpressure,
    CircuitOpen,
    DeadlinePassed,
    MasterMoved,
    MasterNotReady,
    MasterUnknown,
    NotAcknowledged,
    PermanentError,
    RogueMaster,
    TlsFilesWrong,
    TlsRefused,
    TransientError,
    UnknownMasterName,
)
from sentinel.link.master_link import MasterLink
from sentinel.master_events import MasterEvent, MasterEventKind, MasterEvents
from sentinel.observer import LinkObserver
from sentinel.time_budget import RequestDeadline
from sentinel.tls import Tls

if TYPE_CHECKING:
    from sentinel.local.binary import RedisServerMissing
    from sentinel.local.child import end_with_parent, tied_to_this_process
    from sentinel.local.options import LocalOptions
    from sentinel.local.plan import shipped_times_ms
    from sentinel.local.ports import PortReservation
    from sentinel.local.process import LocalNode, LocalStartError
    from sentinel.local.running_topology import TopologyError
    from sentinel.local.topology import LocalTopology
    from sentinel.local.waiting import is_listening, wait_for
    from sentinel.protocol import Role
    from sentinel.switchover.repair import NothingToRepair, RepairError, RepairResult, plan_repair, repair
    from sentinel.switchover.report import (
        Progress,
        Step,
        SwitchoverError,
        SwitchoverRefused,
        SwitchoverResult,
    )
    from sentinel.switchover.self_repair import SelfRepair
    from sentinel.switchover.switchover import HOLD_AT_MOST_S, rehearse_switchover, switch_over
    from sentinel.topology.checks import findings_of, refusals_of
    from sentinel.topology.doctor import Diagnosis, diagnose
    from sentinel.topology.doctor.reasons import why_of
    from sentinel.topology.findings import Finding, Severity
    from sentinel.topology.snapshot import NodeState, SentinelState, Topology
    from sentinel.topology.survey import survey
    from sentinel.topology.vitals import Vitals
    from sentinel.topology.writes import Refusal, WriteAnswer, try_write

_IMPORTED_WHEN_ASKED_FOR = {
    "local.binary": ("RedisServerMissing",),
    "local.child": ("end_with_parent", "tied_to_this_process"),
    "local.options": ("LocalOptions",),
    "local.plan": ("shipped_times_ms",),
    "local.ports": ("PortReservation",),
    "local.process": ("LocalNode", "LocalStartError"),
    "local.running_topology": ("TopologyError",),
    "local.topology": ("LocalTopology",),
    "local.waiting": ("is_listening", "wait_for"),
    "protocol": ("Role",),
    "switchover.repair": ("NothingToRepair", "RepairError", "RepairResult", "plan_repair", "repair"),
    "switchover.report": ("Progress", "Step", "SwitchoverError", "SwitchoverRefused", "SwitchoverResult"),
    "switchover.self_repair": ("SelfRepair",),
    "switchover.switchover": ("HOLD_AT_MOST_S", "rehearse_switchover", "switch_over"),
    "topology.checks": ("findings_of", "refusals_of"),
    "topology.doctor": ("Diagnosis", "diagnose"),
    "topology.doctor.reasons": ("why_of",),
    "topology.findings": ("Finding", "Severity"),
    "topology.snapshot": ("NodeState", "SentinelState", "Topology"),
    "topology.survey": ("survey",),
    "topology.vitals": ("Vitals",),
    "topology.writes": ("Refusal", "WriteAnswer", "try_write"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for the first time. Raises AttributeError."""
    for module, names in _IMPORTED_WHEN_ASKED_FOR.items():
        if name in names:
            return globals().setdefault(name, getattr(import_module(f"{__name__}.{module}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
