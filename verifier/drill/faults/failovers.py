"""Faults in which the master moves, or those who decide on that are harmed."""

from __future__ import annotations

import time

from sentinel import (
    Endpoint,
    LocalNode,
    SwitchoverError,
    TopologyError,
    refusals_of,
    survey,
    switch_over,
)
from verifier.drill.fault_context import FaultContext
from verifier.drill.faults.registry import MOVES, fault
from verifier.drill.promise import Promise
from verifier.drill.rig.connection_attempts import ConnectionAttempts

SENTINELS_NOTICE_WITHIN_S = 15.0
STALLS_FOR_S = 2.0
SECOND_FAILOVER_WITHIN_S = 10.0


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


@fault("failover", "somebody gives a bare SENTINEL FAILOVER", MOVES)
def _failover(context: FaultContext) -> None:
    context.begin()
    context.topology.failover()
    context.await_switch()
    context.end()


@fault("double-failover", "somebody gives two bare SENTINEL FAILOVER within ten seconds", MOVES)
def _double_failover(context: FaultContext) -> None:
    """Give the second order as soon as the sentinel takes it."""
    context.begin()
    context.topology.failover()
    context.await_switch()
    if not context.waiter.until(lambda: _takes_order(context), SECOND_FAILOVER_WITHIN_S):
        context.trouble = f"No second failover was possible within {SECOND_FAILOVER_WITHIN_S:.0f} s."
    context.await_switch(number=2)
    context.end()


@fault(
    "slow-promotion",
    "somebody gives a bare SENTINEL FAILOVER, and the replica that is promoted stalls for 2 s",
    MOVES,
)
def _slow_promotion(context: FaultContext) -> None:
    """Hang it after it was selected, which is up to a tenth of a second before it is promoted."""
    selected = _fail_over(context)
    if selected is None:
        context.trouble = "The sentinel announced no replica that it selected."
    else:
        selected.pause()
        context.waiter.for_s(STALLS_FOR_S)
        selected.resume()
    context.await_switch()
    context.end()


@fault(
    "rogue",
    "somebody makes the master follow a stranger (REPLICAOF)",
    Promise(accepts_all=False, checks_all=False, alarm_within_s=1.0),
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


def _takes_order(context: FaultContext) -> bool:
    """Return whether the sentinel took the order; it refuses while it is not through with the last one."""
    try:
        context.topology.failover()
    except TopologyError:
        return False
    return True


def _fail_over(context: FaultContext) -> LocalNode | None:
    """Order a failover and return the replica that is selected, as soon as it is."""
    with (
        context.topology.admin(context.topology.sentinel_nodes[0]) as sentinel,
        sentinel.pubsub() as subscriber,
    ):
        subscriber.subscribe("+selected-slave")
        subscriber.get_message(timeout=2.0)  # the subscription itself
        context.begin()
        context.topology.failover()
        ends_at = time.monotonic() + SENTINELS_NOTICE_WITHIN_S
        while time.monotonic() < ends_at:
            if message := subscriber.get_message(timeout=0.3):
                return _node_in(context, message["data"])
    return None


def _node_in(context: FaultContext, text: str) -> LocalNode:
    """Return the node in `slave NAME HOST PORT @ ...`."""
    host, port = text.split()[2:4]
    return next(node for node in context.topology.nodes if node.endpoint == Endpoint(host, int(port)))
