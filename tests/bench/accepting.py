"""Requests a second of `POST /v1/verifications`, beside a bare Flask view that enqueues; nobody mails meanwhile."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import BenchError, Child
from tests.bench.sizes import Sizes
from tests.bench.stage import Testbed, say
from tests.bench.webs import BARE, OURS, web

_LOAD = Path(__file__).with_name("http_load.py")
NO_RELAY = 25
WARM_UP_S = 1.0


@dataclass(frozen=True)
class Accepting:
    """One web and how many requests a second it took; of several rounds, the one in the middle."""

    name: str
    rate: float
    rates: list[float]
    p50_ms: float
    p99_ms: float
    refused: int


def measure_accepting(testbed: Testbed, sizes: Sizes) -> list[Accepting]:
    """Measure both, in turns."""
    whose = [OURS, *([BARE] if testbed.peers_python else [])]
    rounds: dict[str, list[Accepting]] = {name: [] for name in whose}
    for _ in range(sizes.accept_rounds):
        for name in whose:
            rounds[name].append(_once(testbed, name, sizes))
    return [_middle(rounds[name]) for name in whose]


def _once(testbed: Testbed, name: str, sizes: Sizes) -> Accepting:
    testbed.flush()
    with web(testbed, name, NO_RELAY) as port:
        _load(testbed, port, sizes, min(WARM_UP_S, sizes.accept_s))
        found = _load(testbed, port, sizes, sizes.accept_s)
    refused = sum(found["refused"].values())
    if not found["rate"]:
        raise BenchError(f"{name} accepted nothing: {found['refused']}")
    say(f"{name}: {found['rate']:.0f} requests/s, {refused} refused")
    return Accepting(name, found["rate"], [found["rate"]], found["p50_ms"], found["p99_ms"], refused)


def _load(testbed: Testbed, port: int, sizes: Sizes, seconds: float) -> dict[str, Any]:
    command = [sys.executable, str(_LOAD), str(port), str(sizes.accept_connections), str(seconds)]
    with Child("http-load", command, {}, testbed.room) as child:
        child.wait_for_success(seconds + 30)
        found: dict[str, Any] = json.loads(child.said())
        return found


def _middle(rounds: list[Accepting]) -> Accepting:
    middle = sorted(rounds, key=lambda one: one.rate)[len(rounds) // 2]
    rates = [one.rate for one in rounds]
    return Accepting(
        middle.name,
        statistics.median(rates),
        rates,
        middle.p50_ms,
        middle.p99_ms,
        sum(one.refused for one in rounds),
    )
