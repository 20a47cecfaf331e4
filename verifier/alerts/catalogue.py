"""Which alerts there are. They have the names of those for Prometheus, and a place each in docs/runbook.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from verifier.readiness import Look, Reason, Verdict

RUNBOOK = "docs/runbook.md"


class Severity(StrEnum):
    """Critical: mail does not go out. Warning: it still does."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class Alert:
    """One kind of alert."""

    name: str
    severity: Severity = Severity.CRITICAL
    after_s: float = 0.0
    """For how long it must last before anybody is told: a failover is over by then."""

    @property
    def runbook(self) -> str:
        """Where it is explained."""
        return f"{RUNBOOK}#{self.name.lower()}"


MASTER_MOVED = Alert("MasterMoved", Severity.WARNING)
_UNREACHABLE = Alert("RedisUnreachable", after_s=15)
_ROGUE = Alert("RogueMaster")
_WRITES_REFUSED = Alert("WritesRefused", after_s=15)
_QUORUM_LOST = Alert("QuorumLost", Severity.WARNING, after_s=10)

# By the code of a reason; a worker's other troubles lead to NoMailGoesOut when they matter.
_BY_CODE: Mapping[str, Alert] = {
    "oldest_owed": Alert("MailOwedTooLong"),
    "no_worker": Alert("NoWorker", after_s=10),
    "no_success": Alert("NoMailGoesOut", after_s=5),
    "redis_full": Alert("RedisFull", after_s=5),
    "relay_refuses_us": Alert("RelayRefusesLogin", after_s=5),
    "canary_late": Alert("CanaryLate"),
    "no_master": _UNREACHABLE,
    "access_refused": _UNREACHABLE,
    "unknown_master_name": _UNREACHABLE,
    "rogue_master": _ROGUE,
    "no_replica": _WRITES_REFUSED,
    "writes_held": _WRITES_REFUSED,
    "writes_not_confirmed": _WRITES_REFUSED,
    "disk_error": _WRITES_REFUSED,
    "master_not_ready": _WRITES_REFUSED,
    "quorum_lost": _QUORUM_LOST,
    "sentinels_locked_out": _QUORUM_LOST,
}
ALERTS: Mapping[str, Alert] = {each.name: each for each in (*_BY_CODE.values(), MASTER_MOVED)}


@dataclass(frozen=True)
class Conditions:
    """What holds now, by the alert's name, and of which alerts nothing is known at the moment."""

    holding: Mapping[str, str]
    unknown: frozenset[str] = frozenset()


def conditions_of(look: Look, verdict: Verdict, master_before: str) -> Conditions:
    """Return what holds; a sentence for each alert, that of its first reason.

    Args:
        look: what was seen.
        verdict: what is wrong with it.
        master_before: who was the master at the look before; empty where that is not known.
    """
    holding = _sentences([*verdict.reasons, *verdict.warnings])
    if look.facts is None:
        # Whoever can't be asked is neither well nor ill; and why it can't be is one of several reasons.
        return Conditions(holding, frozenset(ALERTS) - holding.keys() - {_QUORUM_LOST.name})
    if look.master is not None and master_before not in {"", str(look.master)}:
        holding[MASTER_MOVED.name] = f"The master moved from {master_before} to {look.master}."
    return Conditions(holding)


def _sentences(reasons: Sequence[Reason]) -> dict[str, str]:
    sentences: dict[str, str] = {}
    for reason in reasons:
        if (alert := _BY_CODE.get(reason.code)) is not None:
            sentences.setdefault(alert.name, reason.sentence)
    return sentences
