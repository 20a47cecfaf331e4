"""Mails a second and the worker's memory, at relays that answer at once and 20 ms later, peers beside us."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from tests.bench.draining import Drained, drain
from tests.bench.sinks import counting_sink, far_away, reply_delay_ms, smtp_source
from tests.bench.sizes import Sizes
from tests.bench.systems import SetUp, set_ups
from tests.bench.testbed import BenchTestbed, report_progress

SOURCE_MAILS_FACTOR = 2
SLOW_SHARE = 0.4
WAY_MS = 20


@dataclass(frozen=True)
class Throughput:
    """One set-up at one relay; of several rounds, the one in the middle."""

    key: str
    name: str
    setup: str
    rate: float
    rates: list[float]
    processes: int
    peak_mb: float
    pss_mb: float
    cpu_us_a_mail: float


@dataclass(frozen=True)
class Relay:
    """One relay and everybody at it."""

    delay_ms: int
    measured_reply_ms: float
    results: list[Throughput]
    source_rate: float | None

    def fastest(self, key: str) -> Throughput | None:
        """Return the fastest of a library's set-ups; None where it was not measured."""
        found = [each for each in self.results if each.key.partition("-")[0] == key]
        return max(found, key=lambda each: each.rate, default=None)


def measure_throughput(testbed: BenchTestbed, sizes: Sizes) -> list[Relay]:
    """Measure both relays."""
    return [_near(testbed, sizes), _far(testbed, sizes)]


def _near(testbed: BenchTestbed, sizes: Sizes) -> Relay:
    rounds: dict[str, list[Drained]] = {}
    everybody = set_ups(testbed)
    # Round by round rather than one set-up after the other: a busy moment of the machine hits them all.
    for _ in range(sizes.drain_rounds):
        for one in everybody:
            mails = int(sizes.drain_mails * (SLOW_SHARE if one.slow else 1))
            rounds.setdefault(one.key, []).append(_once(testbed, one, 0, mails, sizes.drain_limit_s))
    return Relay(
        0,
        _reply_ms(testbed, 0),
        [_middle(one, rounds[one.key]) for one in everybody],
        _source_rate(testbed, sizes),
    )


def _far(testbed: BenchTestbed, sizes: Sizes) -> Relay:
    results = [
        _middle(one, [_once(testbed, one, WAY_MS, sizes.far_mails, sizes.far_limit_s)])
        for one in set_ups(testbed)
    ]
    return Relay(WAY_MS, _reply_ms(testbed, WAY_MS), results, None)


def _once(testbed: BenchTestbed, one: SetUp, delay_ms: int, mails: int, limit_s: float) -> Drained:
    testbed.flush()
    one.fill(testbed, mails)
    with (
        counting_sink(testbed.directory) as sink,
        far_away(sink.port, delay_ms, testbed.directory) as port,
        testbed.worker(one.system, port) as worker,
    ):
        # Far away nobody empties the queue in time, so there the first mail starts the clock.
        drained = drain(worker, sink, mails, limit_s, warm_up=not delay_ms)
    report_progress(f"{one.name} at {delay_ms} ms: {drained.rate:.0f} mails/s, {drained.peak_mb:.0f} MB")
    return drained


def _middle(one: SetUp, rounds: list[Drained]) -> Throughput:
    middle = sorted(rounds, key=lambda drained: drained.rate)[len(rounds) // 2]
    return Throughput(
        key=one.key,
        name=one.name,
        setup=one.setup,
        rate=statistics.median(drained.rate for drained in rounds),
        rates=[drained.rate for drained in rounds],
        processes=len(middle.memory),
        peak_mb=max(drained.peak_mb for drained in rounds),
        pss_mb=middle.pss_mb,
        cpu_us_a_mail=middle.cpu_us_a_mail,
    )


def _reply_ms(testbed: BenchTestbed, delay_ms: int) -> float:
    with counting_sink(testbed.directory) as sink, far_away(sink.port, delay_ms, testbed.directory) as port:
        return reply_delay_ms(port)


def _source_rate(testbed: BenchTestbed, sizes: Sizes) -> float:
    """Return the mails a second of smtp-source with one persistent session: nobody with one is faster."""
    mails = sizes.drain_mails * SOURCE_MAILS_FACTOR
    with counting_sink(testbed.directory) as sink:
        began = time.perf_counter()
        smtp_source(sink.port, mails, testbed.mail_bytes, testbed.directory)
        return mails / (time.perf_counter() - began)
