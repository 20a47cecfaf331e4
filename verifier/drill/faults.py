"""The faults, one by one. Each harms the service, lets that last, and undoes it.

A new fault is one function here: the decorator says its name, its story and what the service owes people in it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from sentinel import SwitchoverError, refusals_of, survey, switch_over
from verifier.drill.fault_context import FaultContext
from verifier.drill.promise import Promise
from verifier.drill.rig.connection_attempts import ConnectionAttempts

SENTINELS_NOTICE_WITHIN_S = 15.0

Inject = Callable[[FaultContext], None]


@dataclass(frozen=True)
class Fault:
    """One thing that happens."""

    name: str
    story: str
    promise: Promise
    inject: Inject


FAULTS: dict[str, Fault] = {}
"""All faults by name, in the order in which a drill goes through them."""

NOTHING_MORE = Promise()
MOVES = Promise(switches=True)


def fault(name: str, story: str, promise: Promise = NOTHING_MORE) -> Callable[[Inject], Inject]:
    """Add the decorated function to the faults."""

    def add(inject: Inject) -> Inject:
        FAULTS[name] = Fault(name, story, promise, inject)
        return inject

    return add


@fault("switchover", "an operator has the master moved (flask sentinel switchover)", MOVES)
def _switchover(context: FaultContext) -> None:
    """Wait first, as an operator would be asked to: the sentinels may still see an earlier fault."""
    access = context.topology.operators_access()
    context.waiter.until(lambda: not refusals_of(survey(access)), SENTINELS_NOTICE_WITHIN_S)
    context.begin()
    try:
        switch_over(access)
    except SwitchoverError as error:
        context.trouble = f"The switchover did not succeed: {error}"
    context.await_switch(1.0)
    context.end()


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


@fault("failover", "somebody gives a bare SENTINEL FAILOVER", MOVES)
def _failover(context: FaultContext) -> None:
    context.begin()
    context.topology.failover()
    context.await_switch()
    context.end()


@fault(
    "rogue",
    "somebody makes the master follow a stranger (REPLICAOF)",
    Promise(accepts_all=False, tells_within_s=1.0),
)
def _rogue(context: FaultContext) -> None:
    stranger = context.topology.start_stranger()
    context.begin()
    rogue = context.topology.make_rogue(stranger.endpoint)
    if context.pace.heals_by_itself:
        context.await_switch(60)
    else:
        context.waiter.for_s(context.pace.dead_s)
        with context.topology.admin(rogue) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
    context.end()
    stranger.kill()


@fault("replica-kill", "a replica is killed and returns")
def _replica_kill(context: FaultContext) -> None:
    replica = context.topology.replicas()[0]
    context.begin()
    replica.kill()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    replica.restart()


@fault("sentinel-kill", "one sentinel is killed, then all, then they return")
def _sentinel_kill(context: FaultContext) -> None:
    first, *others = context.topology.sentinel_nodes
    context.begin()
    first.kill()
    context.waiter.for_s(context.pace.dead_s)
    for sentinel in others:
        sentinel.kill()
    context.measure_from_here()
    with ConnectionAttempts(context.topology.sentinels, context.service.processes) as attempts:
        context.waiter.for_s(context.pace.blind_s)
    context.end(attempts.counts)
    for sentinel in context.topology.sentinel_nodes:
        sentinel.restart()


@fault("redis-down", "all Redis nodes are killed and return", Promise(accepts_all=False, costs_nothing=True))
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
    "worker-kill",
    "a worker is killed (-9), and another is started later",
    Promise(may_repeat=True, mails_within_s=15.0),
)
def _worker_kill(context: FaultContext) -> None:
    context.begin()
    context.service.kill_worker()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    context.service.await_worker(context.service.add_worker())


@fault("web-kill", "a gunicorn worker is killed (-9)", Promise(may_cut_off=True))
def _web_kill(context: FaultContext) -> None:
    context.begin()
    os.kill(context.service.serving()[0], signal.SIGKILL)
    context.waiter.for_s(context.pace.dead_s)
    context.end()


@fault("queue-loss", "the queue is deleted whole", Promise(mails_within_s=15.0))
def _queue_loss(context: FaultContext) -> None:
    """Pause the workers for two seconds first, so that the queue holds something to lose."""
    workers = context.service.workers
    for worker in workers:
        worker.pause()
    context.waiter.for_s(2.0)
    context.begin()
    with context.topology.admin(context.topology.current_master()) as client:
        client.delete(context.service.system.queue)
    for worker in workers:
        worker.resume()
    context.waiter.for_s(context.pace.dead_s)
    context.end()
