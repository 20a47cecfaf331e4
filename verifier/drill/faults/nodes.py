"""Faults of Redis nodes."""

from __future__ import annotations

from redis import Redis

from verifier.drill.fault_context import FaultContext
from verifier.drill.faults.registry import MOVES, fault
from verifier.drill.promise import Promise
from verifier.drill.rig.connection_attempts import ConnectionAttempts

LITTLE_BYTES = 256 * 1024


@fault("kill", "the master is killed (-9) and returns after the failover", MOVES)
def _kill(context: FaultContext) -> None:
    master = context.topology.current_master()
    context.begin()
    master.kill()
    context.await_switch()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    master.restart()


@fault("hang", "the master hangs (SIGSTOP) and wakes up after the failover", MOVES)
def _hang(context: FaultContext) -> None:
    master = context.topology.current_master()
    context.begin()
    master.pause()
    context.await_switch()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    master.resume()


@fault(
    "disk-lost", "the master is killed (-9), loses its disk and restarts at once, with nothing on it", MOVES
)
def _disk_lost(context: FaultContext) -> None:
    """Start it before the sentinels notice: if it listened, all would copy its empty data."""
    master = context.topology.current_master()
    context.begin()
    master.lose_disk()
    master.restart(wait=False)
    context.await_switch()
    context.waiter.for_s(context.pace.dead_s)
    context.end()


@fault("replica-kill", "a replica is killed and returns")
def _replica_kill(context: FaultContext) -> None:
    replica = context.topology.replicas()[0]
    context.begin()
    replica.kill()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    replica.restart()


@fault(
    "redis-down",
    "all Redis nodes are killed and return",
    Promise(accepts_all=False, checks_all=False, costs_nothing=True),
)
def _redis_down(context: FaultContext) -> None:
    """Stop the load after a second in which some wait in vain: what is measured is waiting."""
    context.begin()
    for node in context.topology.nodes:
        node.kill()
    endpoints = [node.endpoint for node in context.topology.nodes]
    with ConnectionAttempts(endpoints, context.service.processes) as attempts:
        context.waiter.for_s(1.0)
        context.load.pause()
        context.measure_from_here()
        attempts.counts.clear()
        context.waiter.for_s(context.pace.down_s - 1.0)
    context.end(attempts.counts)
    for node in context.topology.nodes:
        node.restart()
    context.load.resume()


@fault(
    "redis-full",
    "Redis is full for a while: it refuses whatever would make it grow",
    Promise(accepts_all=False),
)
def _redis_full(context: FaultContext) -> None:
    """Limit the master to a little less than it uses, since that goes up and down; codes can still be checked."""
    context.begin()
    with context.topology.admin(context.topology.current_master()) as client:
        refused_before = _refused_for_memory(client)
        limit = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", client.info("memory")["used_memory"] - LITTLE_BYTES)
        try:
            context.waiter.for_s(context.pace.full_s)
        finally:
            client.config_set("maxmemory", limit)
        if _refused_for_memory(client) == refused_before:
            context.trouble = "Redis refused nothing for want of memory."
    context.end()


def _refused_for_memory(client: Redis) -> int:
    return int(client.info("errorstats").get("errorstat_OOM", {}).get("count", 0))
