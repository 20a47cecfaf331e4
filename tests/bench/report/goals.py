"""The goals, and whether a run meets them; a figure whose peer was not measured has no verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.accepting import BARE, Accepting
from tests.bench.footprint import GOAL_MB, Footprint
from tests.bench.growth import Growth
from tests.bench.latency import Latency
from tests.bench.results import Results
from tests.bench.throughput import Relay, Throughput

FASTER_NEAR = 1.5
FASTER_FAR = 10.0
WORKER_MB = 80.0
GROWTH_SPREAD = 0.20
BYTES_A_PENDING = 1024
SHARE_LEFT = 0.01
"""Of what was taken; an empty Redis that was in use before keeps a few scripts and tables."""


@dataclass(frozen=True)
class Goal:
    """One goal and what was measured."""

    goal: str
    measured: str
    met: bool


def goals(results: Results) -> list[Goal]:
    """Judge what was measured."""
    found: list[Goal] = []
    for relay in results.throughput or []:
        found += _throughput(relay)
    if results.latency:
        found += _latency(results.latency)
    if results.accepting:
        found += _accepting(results.accepting)
    if results.growth:
        found += _growth(results.growth)
    if results.footprint:
        found.append(_footprint(results.footprint))
    return found


def _throughput(relay: Relay) -> Iterator[Goal]:
    by_key = {each.key: each for each in relay.results}
    celery = relay.fastest("celery")
    if relay.delay_ms:
        one = by_key["verifier"]
        if celery:
            yield _times(f"{relay.delay_ms} ms a reply, one process", one, celery, FASTER_FAR)
        yield Goal(
            f"the worker process holds at most {WORKER_MB:.0f} MB",
            f"{one.peak_mb:.0f} MB at its peak",
            one.peak_mb <= WORKER_MB,
        )
    elif celery:
        best = relay.fastest("verifier") or by_key["verifier"]
        yield _times("0 ms a reply, both on the same cores", best, celery, FASTER_NEAR)


def _times(where: str, ours: Throughput, celery: Throughput, wanted: float) -> Goal:
    ratio = ours.rate / celery.rate
    return Goal(
        f"{where}: at least {wanted:g} x the fastest Celery -c 2 in mails a second",
        f"{ratio:.1f} x ({ours.setup}: {ours.rate:.0f}/s, {celery.name}: {celery.rate:.0f}/s)",
        ratio >= wanted,
    )


def _latency(found: list[Latency]) -> Iterator[Goal]:
    peers = [each for each in found if "SimpleWorker" in each.name]
    for peer in peers:
        for name, ours_ms, peers_ms in (
            ("p50", found[0].p50_ms, peer.p50_ms),
            ("p99", found[0].p99_ms, peer.p99_ms),
        ):
            yield Goal(
                f"from POST to the mail at the relay, {name}: no more than Flask + RQ SimpleWorker",
                f"{ours_ms:.1f} ms, RQ {peers_ms:.1f} ms",
                ours_ms <= peers_ms,
            )


def _accepting(found: list[Accepting]) -> Iterator[Goal]:
    for peer in (each for each in found if each.name == BARE):
        # Round by round, since a shared machine is faster in one and slower in the next.
        ratios = sorted(ours / theirs for ours, theirs in zip(found[0].rates, peer.rates, strict=True))
        ratio = statistics.median(ratios)
        yield Goal(
            "POST /v1/verifications: limits on: at least as many requests a second as a bare Flask view with Queue.enqueue",
            f"{ratio:.2f} x, {ratios[0]:.2f} to {ratios[-1]:.2f} ({found[0].rate:.0f}/s, bare {peer.rate:.0f}/s)",
            ratio >= 1,
        )


def _growth(found: Growth) -> Iterator[Goal]:
    fastest, slowest = max(found.rates.values()), min(found.rates.values())
    spread = 1 - slowest / fastest
    yield Goal(
        f"speed with {', '.join(f'{mails:,}' for mails in found.rates)} mails queued within "
        f"{100 * GROWTH_SPREAD:.0f} % of each other",
        f"{100 * spread:.0f} % between the fastest and the slowest",
        spread <= GROWTH_SPREAD,
    )
    yield Goal(
        "under 1 KiB of Redis memory for a waiting verification with its job",
        f"{found.bytes_a_pending:.0f} bytes",
        found.bytes_a_pending < BYTES_A_PENDING,
    )
    yield Goal(
        "all memory back after expiry",
        f"{found.bytes_left_after_expiry:.1f} bytes a verification and {found.keys_left_after_expiry} keys in all left",
        found.bytes_left_after_expiry <= SHARE_LEFT * found.bytes_a_pending,
    )


def _footprint(found: Footprint) -> Goal:
    return Goal(
        f"the whole embedded service in at most {GOAL_MB} MB after {found.verifications:,} verifications",
        f"{found.rss_mb:.0f} MB resident in all ({found.pss_mb:.0f} MB with shared pages counted once)",
        found.rss_mb <= GOAL_MB,
    )
