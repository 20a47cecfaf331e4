"""Whether the master takes writes now, and whether each replica would if it were promoted."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.protocol import Role
from sentinel.topology.checks.waiting import unless_unsettled
from sentinel.topology.findings import Finding, critical, warning
from sentinel.topology.snapshot import NodeState, Topology
from sentinel.topology.writes import Refusal, WriteAnswer

_MIB = 1024 * 1024


def _the_master_takes_writes(topology: Topology) -> Iterator[Finding]:
    """Judge the write that was tried; without one, or without the app's login, what INFO tells."""
    master, write = topology.master, topology.write
    if master is None or master.role is not Role.MASTER:
        return  # said by others
    if write is not None and not write.anonymous:
        if write.refusal is not None:
            why, remedy = _why(write, write.refusal, master, topology)
            if write.refusal is Refusal.REPLICAS:
                remedy = unless_unsettled(topology, remedy)
            yield _writes_refused(master, why, remedy)
        elif not write.taken:
            yield _not_confirmed(write, topology)
        return
    if (found := would_refuse(master, len(topology.healthy_replicas))) is not None:
        yield _writes_refused(master, *found)
    elif write is not None and write.refusal is not None:
        yield warning(
            "write-not-tried",
            f"Whether the master {master.endpoint} takes writes is not known: the app's login is not in the settings "
            "here, and only a write with it would tell.",
            "Run this where the app's user and password are set.",
        )


def _replicas_would_take_writes(topology: Topology) -> Iterator[Finding]:
    for node in topology.candidates:
        # In a planned move everybody else follows the new master, the old one included.
        others = sum(each.answers for each in topology.nodes) - 1
        if (found := would_refuse(node, others)) is not None:
            why, remedy = found
            yield critical(
                "replica-would-refuse",
                f"Promoted, the replica {node.endpoint} would take no writes: {why}.",
                remedy,
            )


def would_refuse(node: NodeState, replicas: int) -> tuple[str, str] | None:
    """Return why a node refuses writes as a master with so many replicas, and the remedy; None where nothing shows it."""
    share = node.vitals.memory_share
    if share is not None and share >= 1 and node.maxmemory_policy in {None, "noeviction"}:
        return _no_memory(node)
    if node.vitals.disk_error is not None:
        return _no_disk(node)
    if _replicas_wanted(node) > replicas:
        return _too_few_replicas(node, replicas)
    return None


def _why(write: WriteAnswer, refusal: Refusal, master: NodeState, topology: Topology) -> tuple[str, str]:
    """Return why a write was refused, and the remedy."""
    if refusal is Refusal.MEMORY:
        return _no_memory(master)
    if refusal is Refusal.DISK:
        return _no_disk(master)
    if refusal is Refusal.REPLICAS:
        close = master.vitals.close_replicas
        return _too_few_replicas(master, len(topology.healthy_replicas) if close is None else close)
    why, remedy = _BY_REFUSAL.get(refusal, ("{}", "Wait some seconds; if it lasts, read its log."))
    return why.format(_plain(write)), remedy


_BY_REFUSAL = {
    Refusal.HELD: (
        "it answers, but a write gets no answer: writes are held (CLIENT PAUSE), or it has far too much to do",
        "A planned switchover holds them for some seconds; if nobody is doing one, run CLIENT UNPAUSE on it.",
    ),
    Refusal.ACCESS: (
        "it refuses the app's login ({})",
        "Compare the app's user and password in the settings with its ACL file.",
    ),
    Refusal.ROLE: ("it has just become a replica ({})", "Wait some seconds, and look again."),
}


def _writes_refused(master: NodeState, why: str, remedy: str) -> Finding:
    return critical("writes-refused", f"The master {master.endpoint} takes no writes: {why}.", remedy)


def _not_confirmed(write: WriteAnswer, topology: Topology) -> Finding:
    return critical(
        "writes-not-confirmed",
        f"The master {write.node} took a write, but {write.acknowledged or 0} of the {write.needed} replicas that must "
        "have it confirmed it within a second, so nothing that is submitted is accepted.",
        unless_unsettled(topology, "Bring a replica back, or find out what makes them slow."),
    )


def _no_memory(node: NodeState) -> tuple[str, str]:
    used, limit = node.vitals.memory_used, node.vitals.memory_limit
    amount = f" ({used / _MIB:.0f} of {limit / _MIB:.0f} MiB)" if used is not None and limit else ""
    return f"its memory is full{amount}", "Raise its maxmemory, or find out what fills it."


def _no_disk(node: NodeState) -> tuple[str, str]:
    what = {"AOF": "append-only file", "RDB": "snapshot"}.get(node.vitals.disk_error or "", "data")
    return (
        f"it could not write its {what} to its disk",
        "Make room there, or make its data directory writable again; its log names the error. It goes on by itself.",
    )


def _replicas_wanted(node: NodeState) -> int:
    """Return how many replicas it wants at least, as far as is known."""
    return (
        int(bool(node.needs_replicas)) if node.min_replicas_to_write is None else node.min_replicas_to_write
    )


def _too_few_replicas(node: NodeState, replicas: int) -> tuple[str, str]:
    needed = node.min_replicas_to_write
    wanted = "more" if needed is None else str(needed)
    return (
        f"it is set to want {wanted} replicas close behind it (min-replicas-to-write), and has {replicas}",
        "Bring replicas back, or lower min-replicas-to-write.",
    )


def _plain(write: WriteAnswer) -> str:
    return (write.error or "no reason is known").rstrip(". ")


CHECKS = (
    _the_master_takes_writes,
    _replicas_would_take_writes,
)
