"""What may befall the service, one by one. Each fault does its harm, lets it last, and undoes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from sentinel import SwitchoverError, refusals_of, survey, switch_over
from verifier.drill.fault_context import FaultContext, operators_access
from verifier.drill.promise import Promise
from verifier.drill.rig.connection_attempts import ConnectionAttempts

SENTINELS_NOTICE_WITHIN_S = 15.0


@dataclass(frozen=True)
class Fault:
    """One thing that happens."""

    name: str
    story: str
    act: Callable[[FaultContext], None]
    promise: Promise


def _kill(scene: FaultContext) -> None:
    master = scene.topology.current_master()
    scene.begin()
    master.kill()
    scene.await_switch()
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()
    master.restart()


def _hang(scene: FaultContext) -> None:
    master = scene.topology.current_master()
    scene.begin()
    master.pause()
    scene.await_switch()
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()
    master.resume()


def _failover(scene: FaultContext) -> None:
    scene.begin()
    scene.topology.failover()
    scene.await_switch()
    scene.fault_ended()


def _switchover(scene: FaultContext) -> None:
    """What was before may not be over for the sentinels yet; an operator would be told to wait, and waits."""
    access = operators_access(scene.topology)
    scene.await_true(lambda: not refusals_of(survey(access)), SENTINELS_NOTICE_WITHIN_S)
    scene.begin()
    try:
        switch_over(access)
    except SwitchoverError as error:
        scene.trouble = f"The switchover did not succeed: {error}"
    scene.await_switch(1.0)
    scene.fault_ended()


def _rogue(scene: FaultContext) -> None:
    stranger = scene.topology.start_stranger()
    scene.begin()
    rogue = scene.topology.make_rogue(stranger.endpoint)
    if scene.pace.heals_by_itself:
        scene.await_switch(60)
    else:
        scene.wait_for_s(scene.pace.dead_s)
        with scene.topology.admin(rogue) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
    scene.fault_ended()
    stranger.kill()


def _replica_kill(scene: FaultContext) -> None:
    replica = scene.topology.replicas()[0]
    scene.begin()
    replica.kill()
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()
    replica.restart()


def _sentinel_kill(scene: FaultContext) -> None:
    first, *others = scene.topology.sentinel_nodes
    scene.begin()
    first.kill()
    scene.wait_for_s(scene.pace.dead_s)
    for sentinel in others:
        sentinel.kill()
    scene.measure_from_here()
    with ConnectionAttempts(scene.topology.sentinels, scene.service.processes) as attempts:
        scene.wait_for_s(scene.pace.blind_s)
    scene.fault_ended(attempts.counts)
    for sentinel in scene.topology.sentinel_nodes:
        sentinel.restart()


def _redis_down(scene: FaultContext) -> None:
    """The load goes on for a second, so that some wait in vain, then pauses: what is measured is waiting."""
    scene.begin()
    for node in scene.topology.nodes:
        node.kill()
    endpoints = [node.endpoint for node in scene.topology.nodes]
    with ConnectionAttempts(endpoints, scene.service.processes) as attempts:
        scene.wait_for_s(1.0)
        scene.load.pause()
        scene.measure_from_here()
        attempts.counts.clear()
        scene.wait_for_s(scene.pace.down_s - 1.0)
    scene.fault_ended(attempts.counts)
    for node in scene.topology.nodes:
        node.restart()
    scene.load.resume()


def _worker_kill(scene: FaultContext) -> None:
    scene.begin()
    scene.service.kill_worker()
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()
    scene.service.await_worker(scene.service.add_worker())


def _web_kill(scene: FaultContext) -> None:
    scene.begin()
    os.kill(scene.service.serving()[0], signal.SIGKILL)
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()


def _queue_loss(scene: FaultContext) -> None:
    """The workers are stopped for two seconds, so that the queue holds something to lose."""
    workers = scene.service.workers
    for worker in workers:
        worker.pause()
    scene.wait_for_s(2.0)
    scene.begin()
    with scene.topology.admin(scene.topology.current_master()) as client:
        client.delete(scene.service.contestant.queue)
    for worker in workers:
        worker.resume()
    scene.wait_for_s(scene.pace.dead_s)
    scene.fault_ended()


MOVES = Promise(switches=True)

FAULTS = {
    each.name: each
    for each in (
        Fault(
            "switchover", "an operator has the master moved (flask sentinel switchover)", _switchover, MOVES
        ),
        Fault("kill", "the master is killed (-9) and returns after the failover", _kill, MOVES),
        Fault("hang", "the master hangs (SIGSTOP) and wakes up after the failover", _hang, MOVES),
        Fault("failover", "somebody gives a bare SENTINEL FAILOVER", _failover, MOVES),
        Fault(
            "rogue",
            "somebody makes the master follow a stranger (REPLICAOF)",
            _rogue,
            Promise(accepts_all=False, tells_within_s=1.0),
        ),
        Fault("replica-kill", "a replica is killed and returns", _replica_kill, Promise()),
        Fault(
            "sentinel-kill", "one sentinel is killed, then all, then they return", _sentinel_kill, Promise()
        ),
        Fault(
            "redis-down",
            "all Redis nodes are killed and return",
            _redis_down,
            Promise(accepts_all=False, costs_nothing=True),
        ),
        Fault(
            "worker-kill",
            "a worker is killed (-9), and another is started later",
            _worker_kill,
            Promise(may_repeat=True, mails_within_s=15.0),
        ),
        Fault("web-kill", "a gunicorn worker is killed (-9)", _web_kill, Promise(may_cut_off=True)),
        Fault("queue-loss", "the queue is deleted whole", _queue_loss, Promise(mails_within_s=15.0)),
    )
}
