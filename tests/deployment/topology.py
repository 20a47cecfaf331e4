"""Who is the master, whether all is whole again, and what the sentinels' logs say of the machine itself."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from sentinel import Role, Topology, survey, wait_for
from tests.deployment.deployment import NODES, SENTINELS, Deployment

WHOLE_WITHIN_S = 90.0
# A sentinel that stood still itself, or a vote that failed because others did: the machine's doing, not the fault's.
_LINE = re.compile(r"\d+:X (\d+ \w+ \d+ [\d:.]+) . (.*)")
_SWITCH = "+switch-master "
_STALLED = re.compile(r"\+tilt|-failover-abort-\S+")


def master_of(deployment: Deployment) -> str:
    """Return the service that is the master by the word of most sentinels and by its own. Raises LookupError."""
    found = survey(deployment.access())
    if found.master is None or found.master.role is not Role.MASTER:
        raise LookupError("No node is the master that the sentinels name.")
    return deployment.service_at(found.master.endpoint.host)


def is_whole(deployment: Deployment) -> bool:
    """Return whether all of Redis and Sentinel is well, and /readyz is green."""
    return not faults_in(survey(deployment.access())) and deployment.readiness()[0] == 200


def faults_in(found: Topology) -> list[str]:
    """Return what is not yet well with a snapshot, in words; nothing where another fault may be injected."""
    faults = []
    if len(found.answering) < len(SENTINELS) or not found.is_agreed:
        faults.append("not all sentinels answer and agree")
    if any(each.has_quorum is False or each.tilt or each.flags != {"master"} for each in found.answering):
        faults.append("a sentinel has no quorum, is in TILT, or takes the master for anything else but well")
    if any(
        len(each.replicas) < len(NODES) - 1 or any(known.is_down for known in each.replicas)
        for each in found.answering
    ):
        faults.append("a sentinel does not see all replicas as well")
    if found.master is None or found.master.role is not Role.MASTER:
        faults.append("the named master is none")
    if len(found.healthy_replicas) < len(NODES) - 1:
        faults.append("not all replicas follow the master")
    return faults


def await_whole(deployment: Deployment, timeout_s: float = WHOLE_WITHIN_S) -> list[str]:
    """Wait until all is whole; return what still is not."""
    if wait_for(lambda: is_whole(deployment), timeout_s, 0.5):
        return []
    return faults_in(survey(deployment.access())) or [f"/readyz said {deployment.readiness()}"]


def shown_certificate(deployment: Deployment, service: str) -> str:
    """Return, as PEM, the certificate that a node or sentinel shows to whoever connects. Raises OSError."""
    port = 26379 if service in SENTINELS else 6379
    return ssl.get_server_certificate((deployment.address(service), port), timeout=3)


@dataclass(frozen=True)
class SentinelLogs:
    """What the sentinels wrote since a moment."""

    stalls: tuple[str, ...]
    """Events that tell of a machine which stood still."""
    switched_at: datetime | None
    """When the first of them announced a new master."""


def read_logs(deployment: Deployment, since: datetime) -> SentinelLogs:
    """Read the logs of all sentinels that there are."""
    stalls: dict[str, None] = {}
    switches = []
    for container in deployment.containers():
        if container.service not in SENTINELS:
            continue
        for line in container.log(400).splitlines():
            if (found := _LINE.match(line)) is None or (at := _moment(found[1])) < since:
                continue
            if event := _STALLED.search(found[2]):
                stalls[f"{container.service} {event[0]}"] = None
            if _SWITCH in found[2]:
                switches.append(at)
    return SentinelLogs(tuple(stalls), min(switches, default=None))


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC)
