"""What a full queue costs: the worker's speed, the memory of each waiting verification, and whether it comes back."""

from __future__ import annotations

import functools
import statistics
import time
from dataclasses import dataclass

from sentinel import wait_for
from tests.bench.draining import drain
from tests.bench.sinks import counting_sink
from tests.bench.sizes import Sizes
from tests.bench.testbed import BenchTestbed, report_progress, with_settings
from verifier.drill.rig.process import RigError

BACKLOG_BYTES = 20_000_000
PIECE_BYTES = 1_000_000
WARM_UP_MAILS = 200
BUFFERS = ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer")
SENDING_LIVES = 3
"""How many times longer those live that have to be sent before they expire."""
SHORT_FOR_ROUNDS = 5_000
"""Up to so many mails it takes no time to measure again."""


@dataclass(frozen=True)
class Growth:
    """Speed by the length of the queue, and memory."""

    rates: dict[int, float]
    rounds: dict[int, list[float]]
    bytes_a_pending: float
    bytes_a_sent: float
    bytes_left_after_expiry: float
    """A verification, once all of them have expired; what is left of the whole, divided by their number."""
    keys_left_after_expiry: int
    bytes_left_unsent: float
    """The same where no worker ran until all had expired: dead letters are kept for operators."""


def measure_growth(testbed: BenchTestbed, sizes: Sizes) -> Growth:
    """Measure speed, then memory."""
    rounds = {
        mails: [
            _speed(testbed, mails, sizes)
            for _ in range(sizes.growth_rounds if mails <= SHORT_FOR_ROUNDS else 1)
        ]
        for mails in sizes.growth
    }
    pending, sent = _bytes_each(testbed, sizes.memory_mails)
    left, keys = _after_sending(testbed, sizes)
    rates = {mails: statistics.median(found) for mails, found in rounds.items()}
    return Growth(rates, rounds, pending, sent, left, keys, _after_never_sending(testbed, sizes))


def _speed(testbed: BenchTestbed, mails: int, sizes: Sizes) -> float:
    testbed.flush()
    testbed.fill(mails)
    with counting_sink(testbed.directory) as sink, testbed.worker(testbed.ours, sink.port) as worker:
        drained = drain(worker, sink, mails, sizes.growth_limit_s)
    report_progress(f"{mails} mails queued: {drained.rate:.0f} mails/s, {drained.peak_mb:.0f} MB")
    return drained.rate


def _bytes_each(testbed: BenchTestbed, mails: int) -> tuple[float, float]:
    """Return the bytes of Redis memory of a verification while its mail waits, and after it was sent."""
    before = _empty_memory(testbed)
    testbed.fill(mails)
    pending = (_settled_memory(testbed) - before) / mails
    _send_all(testbed, mails)
    sent = (_settled_memory(testbed) - before) / mails
    report_progress(
        f"a waiting verification takes {pending:.0f} bytes of Redis memory, a sent one {sent:.0f}"
    )
    return pending, sent


def _after_sending(testbed: BenchTestbed, sizes: Sizes) -> tuple[float, int]:
    """Send short-lived verifications and let them expire; return the bytes left of each, and the keys."""
    before = _empty_memory(testbed)
    lifetime_s = SENDING_LIVES * sizes.expiry_lifetime_s
    testbed.fill(sizes.memory_mails, lifetime_s, 0.0)
    _send_all(testbed, sizes.memory_mails, VERIFIER_CODE_LIFETIME=str(lifetime_s))
    _wait_until_expired(testbed, lifetime_s)
    left, keys = (_settled_memory(testbed) - before) / sizes.memory_mails, _keys(testbed, "*")
    report_progress(f"after expiry {left:.1f} bytes each and {keys} keys in all are left")
    return left, keys


def _after_never_sending(testbed: BenchTestbed, sizes: Sizes) -> float:
    """Let verifications expire unsent, then have a worker clear up; return the bytes left of each."""
    before = _empty_memory(testbed)
    testbed.fill(sizes.memory_mails, sizes.expiry_lifetime_s, 0.0)
    _wait_until_expired(testbed, sizes.expiry_lifetime_s)
    with counting_sink(testbed.directory) as sink:
        with testbed.worker(testbed.ours, sink.port):
            _wait_until_nothing_is_owed(testbed)
        if sink.mails():
            raise RigError(f"{sink.mails()} mails with expired codes were sent.")
    left = (_settled_memory(testbed) - before) / sizes.memory_mails
    report_progress(f"of those never sent, {left:.1f} bytes each are left")
    return left


def _wait_until_expired(testbed: BenchTestbed, lifetime_s: float) -> None:
    """Wait for the verifications, and for the leases they were claimed under, which each live for a while."""
    timeout_s = lifetime_s + 120
    for pattern in ("verifier:verification:*", "verifier:lease:*"):
        if not wait_for(functools.partial(_are_gone, testbed, pattern), timeout_s, interval_s=0.5):
            raise RigError(f"{pattern} did not all expire within {timeout_s:.0f} s.")


def _send_all(testbed: BenchTestbed, mails: int, **settings: str) -> None:
    ours = with_settings(testbed.ours, **settings)
    with counting_sink(testbed.directory) as sink, testbed.worker(ours, sink.port) as worker:
        drain(worker, sink, mails, 120)
        _wait_until_nothing_is_owed(testbed)


def _wait_until_nothing_is_owed(testbed: BenchTestbed) -> None:
    with testbed.admin() as client:
        if not wait_for(
            lambda: not client.exists("verifier:due", "rq:queue:verifier-mail"), 60, interval_s=0.1
        ):
            raise RigError("The worker did not clear the queue within 60 s.")


def _empty_memory(testbed: BenchTestbed) -> int:
    """Return the memory of an empty Redis that was in use before.

    Its replication backlog is full, so that it grows no further, and it knows the scripts.
    """
    testbed.flush()
    testbed.fill(WARM_UP_MAILS)
    _send_all(testbed, WARM_UP_MAILS)
    with testbed.admin() as client:
        for _ in range(BACKLOG_BYTES // PIECE_BYTES):
            client.set("filler", b"x" * PIECE_BYTES)
    testbed.flush()
    return _settled_memory(testbed)


def _settled_memory(testbed: BenchTestbed) -> int:
    """Return the memory in use, without buffers of clients and replicas: the least of a few looks."""
    seen = []
    with testbed.admin() as client:
        for _ in range(8):
            time.sleep(0.25)
            memory = client.info("memory")
            seen.append(int(memory["used_memory"]) - sum(int(memory.get(name, 0)) for name in BUFFERS))
    return min(seen)


def _are_gone(testbed: BenchTestbed, pattern: str) -> bool:
    return _keys(testbed, pattern) == 0


def _keys(testbed: BenchTestbed, pattern: str) -> int:
    with testbed.admin() as client:
        return sum(1 for _ in client.scan_iter(pattern, count=1000))
