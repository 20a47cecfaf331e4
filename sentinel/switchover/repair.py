"""Giving a master its role back that somebody took from it with REPLICAOF: REPLICAOF NO ONE, on that node alone.

It is the one order that makes a node a master past Sentinel, so it is given only where nothing can cross it: a majority
of the sentinels names that node, none is leading a failover or in TILT, nobody else is a master, and its data are still
its own. Once its replicas confirm a write it is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis import RedisError

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.topology.node_commands import NodeCommands
from sentinel.topology.snapshot import NodeState, Topology
from sentinel.topology.survey import commands_to, survey_with
from sentinel.topology.writes import WriteAnswer, try_write

PROVE_WITHIN_S = 15.0
POLL_EVERY_S = 0.1
ORDERS = (("REPLICAOF", "NO", "ONE"), ("CONFIG", "REWRITE"))


class RepairError(Exception):
    """The repair was not done, or not as planned; the message says in which state everything is."""


class NothingToRepair(RepairError):
    """The named master says itself that it is one."""


class RepairRefused(RepairError):
    """Nothing was touched, because a condition is not met."""


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What would be done: the order to one node, and whom that follows until then."""

    node: Endpoint
    follows: Endpoint | None


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What was done."""

    node: Endpoint
    write: WriteAnswer | None
    """The first write that was taken, or the last that was not; None where none was to be tried."""
    took_s: float
    """From the order to that write."""
    notes: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """Return whether a write was taken, or none was to be tried."""
        return self.write is None or self.write.taken


def plan_repair(topology: Topology) -> RepairPlan:
    """Return what to do. Raises NothingToRepair, or RepairRefused with every condition that is not met."""
    master = topology.master
    if master is not None and master.role is Role.MASTER:
        raise NothingToRepair(
            f"Nothing is to be repaired: {master.endpoint} is the master by its own word, too."
        )
    if reasons := list(_reasons_against(topology, master)):
        raise RepairRefused("Nothing was changed. " + " ".join(reasons))
    assert master is not None  # noqa: S101 - for the type checker: a reason stands for it
    return RepairPlan(master.endpoint, master.follows)


def repair(
    access: Access,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RepairResult:
    """Look at everybody again, give the order, and write until a write is taken, for fifteen seconds at most.

    Raises:
        NothingToRepair, RepairRefused: as `plan_repair` does, or for a right that our user lacks.
        RepairError: the order was given, and failed or its answer was lost.
    """
    with commands_to(access) as (sentinels, nodes):
        plan = plan_repair(survey_with(sentinels, nodes, access))
        _rehearse(nodes, plan.node)
        began_at = clock()
        notes = _order(nodes, plan.node)
    write = None
    if access.probe is not None:
        write = try_write(plan.node, access.probe, access.tls)
        while not write.taken and clock() < began_at + PROVE_WITHIN_S:
            sleep(POLL_EVERY_S)
            write = try_write(plan.node, access.probe, access.tls)
    return RepairResult(plan.node, write, clock() - began_at, notes)


def _reasons_against(topology: Topology, master: NodeState | None) -> Iterator[str]:
    yield from _reasons_of_sentinels(topology)
    if master is None:
        return
    if not master.answers:
        yield f"{master.endpoint} gives no information: {(master.error or 'no reason is known').rstrip('. ')}."
        return
    for node in topology.replicas:
        if node.role is Role.MASTER:
            yield f"{node.endpoint} says that it is a master: a failover is under way, or there would be two."
    follows = topology.node(master.follows) if master.follows is not None else None
    if follows is not None and not follows.answers:
        yield f"It follows {follows.endpoint}, which the sentinels know and which is silent: a failover may be ending."
    yield from _reasons_of_data(master)


def _reasons_of_sentinels(topology: Topology) -> Iterator[str]:
    count, named = topology.sentinel_count, topology.named_masters
    most = max(named.values(), default=0)
    if most <= count // 2:
        yield f"Only {most} of {count} sentinels name the same master, and more than half must."
    for each in topology.answering:
        if each.leads_failover:
            yield f"Sentinel {each.endpoint} is leading a failover: wait until it is over."
        if each.tilt is not False:
            state = "is in TILT" if each.tilt else "does not tell us whether it is in TILT"
            yield f"Sentinel {each.endpoint} {state}."


def _reasons_of_data(master: NodeState) -> Iterator[str]:
    if master.link == "connected" or master.vitals.loading:
        yield (
            f"{master.endpoint} has copied everything from {master.follows} by now, so its data are that one's: find a node "
            f"that still has yours, or take these with REPLICAOF NO ONE on {master.endpoint} by hand."
        )


def _rehearse(nodes: NodeCommands, node: Endpoint) -> None:
    try:
        missing = nodes.rehearse(node, ORDERS)
    except RedisError as error:
        raise RepairRefused(f"Nothing was changed. {node} would not take the order: {error}") from error
    if missing:
        rights = ", ".join(f"+{right}" for right in missing)
        raise RepairRefused(
            f"Nothing was changed. Our user lacks the rights {rights} on {node}: set the operators' user in the settings."
        )


def _order(nodes: NodeCommands, node: Endpoint) -> tuple[str, ...]:
    try:
        released, remembered = nodes.transact(node, ORDERS)
    except RedisError as error:
        raise RepairError(f"{node} may have taken the order or not, look at the topology: {error}") from error
    if isinstance(released, Exception):
        raise RepairError(f"{node} refused the order: {released}")
    if isinstance(remembered, Exception):
        return (
            f"{node} could not write its role into its configuration file ({remembered}): make it writable.",
        )
    return ()
