"""What forbids a switchover beside the findings on the topology: a master that would not take its orders."""

from __future__ import annotations

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.errors import Backpressure
from sentinel.switchover.steps import Steps
from sentinel.topology.findings import Finding, critical


def refusals_of_orders(steps: Steps, master: Endpoint) -> list[Finding]:
    """Return why the master would not take a switchover's orders; nothing is ordered for it."""
    try:
        missing = steps.missing_rights(master)
    except Backpressure:
        return [_no_room(master)]
    except RedisError as error:
        return [_refused(master, str(error))]
    rights = ", ".join(f"+{right}" for right in missing)
    return [_refused(master, f"it lacks the rights {rights}")] if missing else []


def _refused(master: Endpoint, why: str) -> Finding:
    return critical(
        "orders-refused",
        f"The master {master} would not take a switchover's orders from our user: {why.rstrip('. ')}.",
        "Set the operators' user in the settings, or give this user its rights.",
    )


def _no_room(master: Endpoint) -> Finding:
    return critical(
        "no-room",
        f"The memory of the master {master} is full, and it takes no transaction then, not even the one that makes it "
        "a replica.",
        "Raise its maxmemory, or wait until there is room.",
    )
