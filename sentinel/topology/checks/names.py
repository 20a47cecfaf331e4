"""Whether sentinels know everybody by address: they look names up in their only thread."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.endpoints import Endpoint, is_address
from sentinel.topology.findings import Finding, critical, warning
from sentinel.topology.snapshot import SentinelState, Topology

_USE_ADDRESSES = (
    "Give every node and sentinel a fixed address and have it announce that one (REDIS_ANNOUNCE_HOST empty, "
    "resolve-hostnames no)."
)


def _known_by_address(topology: Topology) -> Iterator[Finding]:
    known = {endpoint for each in topology.answering for endpoint in _known_to(each)}
    names = sorted({endpoint.host for endpoint in known if not is_address(endpoint.host)})
    addresses = sorted({endpoint.host for endpoint in known if is_address(endpoint.host)})
    if not names:
        return
    yield warning(
        "names",
        f"The sentinels know nodes or each other by name ({', '.join(names)}): each looks names up in its only thread, "
        "and while that of a dead one does not resolve it hears nobody; that ends in TILT, in replicas taken for down, "
        "and in failovers of half a minute.",
        f"{_USE_ADDRESSES} Where names are needed, a name server that answers at once, and for the dead, too, helps.",
    )
    if addresses:
        yield warning(
            "names-mixed",
            f"The sentinels know some by name ({', '.join(names)}) and some by address ({', '.join(addresses)}): one node "
            "may count as two.",
            f"{_USE_ADDRESSES} Then run SENTINEL RESET on one sentinel after the other, 30 s apart.",
        )


def _master_resolves(topology: Topology) -> Iterator[Finding]:
    master = topology.master
    if master is not None and master.is_unresolved:
        yield critical(
            "master-unresolved",
            f"The sentinels name {master.endpoint} as the master, and that name does not resolve here.",
            f"{_USE_ADDRESSES} Or have {master.endpoint.host} resolve wherever the app and the workers run.",
        )


def _known_to(sentinel: SentinelState) -> Iterator[Endpoint]:
    if sentinel.master is not None:
        yield sentinel.master
    yield from (each.endpoint for each in sentinel.replicas)
    yield from (each.endpoint for each in sentinel.peers)


CHECKS = (_known_by_address, _master_resolves)
