"""Faults of the service's own processes."""

from __future__ import annotations

import os
import secrets
import signal

from verifier.drill.fault_context import FaultContext
from verifier.drill.faults.registry import fault
from verifier.drill.promise import Promise
from verifier.drill.rig.open_load import CLIENT_TIMEOUT_S

LONGER_THAN_A_LEASE_S = 12.0
SLOW_RELAY_S = 0.3
CLOCK_SHIFT_S = 9 * 60.0


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


@fault(
    "worker-pause",
    "a worker hangs (SIGSTOP) for longer than its leases last, and wakes up",
    Promise(may_repeat=True, repeats_late=False, mails_within_s=15.0),
)
def _worker_pause(context: FaultContext) -> None:
    """What was handed over when it stopped may be repeated; what others sent meanwhile must not leave it again.

    The relay is slow until then, so that the worker stops with mails in hand.
    """
    worker = context.service.workers[0]
    context.mail_sink.slow_s = SLOW_RELAY_S
    context.waiter.for_s(1.0)
    context.begin()
    worker.pause()
    context.mail_sink.slow_s = 0.0
    context.waiter.for_s(LONGER_THAN_A_LEASE_S)
    context.end()
    worker.resume()


@fault("rolling-restart", "each worker and the web are replaced, one after the other")
def _rolling_restart(context: FaultContext) -> None:
    context.begin()
    for replace in _WORKERS_FIRST:
        replace(context)
    context.end()


@fault("key-rotation", "the secret key is rotated twice, in two steps: web first, then workers first")
def _key_rotation(context: FaultContext) -> None:
    """Add the new key everywhere, then put it in front; the old one stays for the codes that are on their way."""
    context.begin()
    for order in (_WEB_FIRST, _WORKERS_FIRST)[: context.pace.rotations]:
        old = context.service.keys
        new = f"drill-{secrets.token_hex(3)}:{secrets.token_hex(32)}"
        for keys in (f"{old},{new}", f"{new},{old}"):
            context.service.set_keys(keys)
            for replace in order:
                replace(context)
    context.end()


@fault("clock-step", "the wall clock of the web goes 9 minutes back, that of a worker 9 minutes forward")
def _clock_step(context: FaultContext) -> None:
    """Replace the processes first, with no requests on their way, by some whose clocks can be moved."""
    service = context.service
    context.load.pause()
    context.waiter.until(lambda: context.load.in_flight == 0, CLIENT_TIMEOUT_S)
    service.make_clocks_adjustable()
    context.load.resume()
    context.waiter.for_s(1.0)
    context.begin()
    service.shift_clock(service.web, -CLOCK_SHIFT_S)
    service.shift_clock(service.workers[0], CLOCK_SHIFT_S)
    context.waiter.for_s(context.pace.dead_s)
    context.end()
    service.shift_clock(service.web, 0.0)
    service.shift_clock(service.workers[0], 0.0)


def _replace_workers(context: FaultContext) -> None:
    for worker in list(context.service.workers):
        if code := context.service.replace_worker(worker):
            context.trouble = f"{worker.name} ended with code {code} when it was asked to stop."


def _reload_web(context: FaultContext) -> None:
    context.service.reload_web()


_WEB_FIRST = (_reload_web, _replace_workers)
_WORKERS_FIRST = (_replace_workers, _reload_web)
