"""From the POST to the final dot at the relay, at a quiet rate, beside stock Flask and RQ."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from sentinel import wait_for
from tests.bench.sinks import recording_sink
from tests.bench.sizes import Sizes
from tests.bench.systems import quiet_rq
from tests.bench.testbed import BenchTestbed, report_progress
from verifier.drill.rig.open_load import OpenLoad, Submission
from verifier.drill.rig.process import RigError
from verifier.drill.rig.systems import SystemUnderTest

WARM_UP_MAILS = 20
WORKER_STARTS_WITHIN_S = 2.0
LAST_MAIL_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Latency:
    """One web with its worker."""

    name: str
    mails: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


def measure_latency(testbed: BenchTestbed, sizes: Sizes) -> list[Latency]:
    """Measure everybody."""
    systems = {"Verifier": testbed.ours}
    if testbed.peers_python:
        systems["Flask + RQ, SimpleWorker"] = quiet_rq(testbed, "worker")
        systems["Flask + RQ, forking worker"] = quiet_rq(testbed, "worker", worker_class="rq.Worker")
    return [_once(testbed, sizes, name, system) for name, system in systems.items()]


def _once(testbed: BenchTestbed, sizes: Sizes, name: str, system: SystemUnderTest) -> Latency:
    testbed.flush()
    with recording_sink(testbed.directory) as sink, testbed.web(system, sink.port) as service:
        worker = service.add_worker()
        time.sleep(WORKER_STARTS_WITHIN_S)
        posted = _post(service.port, sizes)
        if not wait_for(lambda: len(sink.arrivals()) >= len(posted), LAST_MAIL_TIMEOUT_S):
            raise worker.failure(f"({name}) mailed {len(sink.arrivals())} of {len(posted)}")
        arrived = sink.arrivals()
    # The first ones still find cold caches and unopened connections.
    result = _summary(name, [arrived[each.recipient] - each.sent_at for each in posted[WARM_UP_MAILS:]])
    report_progress(f"{name}: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms")
    return result


def _post(port: int, sizes: Sizes) -> list[Submission]:
    mails = WARM_UP_MAILS + max(10, int(sizes.latency_s * sizes.latency_rate))
    load = OpenLoad(port, "user", sizes.latency_rate, at_most=mails)
    asyncio.run(load.run())
    if failed := [each for each in load.submissions if not each.accepted]:
        reason = failed[0].failure or f"status {failed[0].status}"
        raise RigError(f"{len(failed)} POSTs failed, the first with {reason}.")
    return load.submissions


def _summary(name: str, taken_s: list[float]) -> Latency:
    taken = sorted(1000 * each for each in taken_s)
    return Latency(name, len(taken), taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1])
