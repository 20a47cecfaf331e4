"""Requests a second of `POST /v1/verifications`, beside a bare Flask view that enqueues; nobody mails meanwhile."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.sizes import Sizes
from tests.bench.testbed import NO_RELAY, BenchTestbed, report_progress, with_settings
from verifier.drill.rig.process import RigError, RigProcess
from verifier.drill.rig.systems import RQ, SystemUnderTest, bare_environment

_LOAD = Path(__file__).with_name("programs") / "closed_load.py"
WARM_UP_S = 1.0
BARE = "bare Flask view with Queue.enqueue"
LIMITS_OFF = "Verifier, limits off"
# All the load comes from one client, so it would soon be refused: each limit is counted, and none is reached.
_ROOM = "1000000/1m, 100000000/1d"


@dataclass(frozen=True)
class Accepting:
    """One web and how many requests a second it took; of several rounds, the one in the middle."""

    name: str
    rate: float
    rates: list[float]
    p50_ms: float
    p99_ms: float
    refused: int


def measure_accepting(testbed: BenchTestbed, sizes: Sizes) -> list[Accepting]:
    """Measure them in turns: with limits on as shipped, beside the bare view, and with limits off."""
    systems = {"Verifier": with_limits(testbed.ours)}
    if testbed.peers_python:
        systems[BARE] = testbed.peer(RQ)
    systems[LIMITS_OFF] = testbed.ours
    rounds: dict[str, list[Accepting]] = {name: [] for name in systems}
    for _ in range(sizes.accept_rounds):
        for name, system in systems.items():
            rounds[name].append(_once(testbed, name, system, sizes))
    return [_middle(found) for found in rounds.values()]


def with_limits(system: SystemUnderTest) -> SystemUnderTest:
    """Return the system with the limits that are on as shipped, and off for load, so wide that the load reaches none."""
    names = (
        "MAILS",
        "MAILS_PER_ADDRESS",
        "MAILS_PER_ADDRESS_AND_NETWORK",
        "MAILS_PER_NETWORK",
    )
    room = {f"VERIFIER_LIMIT_{name}": _ROOM for name in names}
    return with_settings(system, VERIFIER_RATE_LIMITS_ENABLED="true", **room)


def _once(testbed: BenchTestbed, name: str, system: SystemUnderTest, sizes: Sizes) -> Accepting:
    testbed.flush()
    with testbed.web(system, NO_RELAY) as service:
        _load(testbed, service.port, sizes, min(WARM_UP_S, sizes.accept_s))
        found = _load(testbed, service.port, sizes, sizes.accept_s)
    refused = sum(found["refused"].values())
    if not found["rate"]:
        raise RigError(f"{name} accepted nothing: {found['refused']}")
    report_progress(f"{name}: {found['rate']:.0f} requests/s, {refused} refused")
    return Accepting(name, found["rate"], [found["rate"]], found["p50_ms"], found["p99_ms"], refused)


def _load(testbed: BenchTestbed, port: int, sizes: Sizes, seconds: float) -> dict[str, Any]:
    arguments = (str(port), str(sizes.accept_connections), str(seconds))
    command = [sys.executable, str(_LOAD), *arguments]
    with RigProcess("closed-load", command, bare_environment(), testbed.directory) as process:
        process.wait_for_success(seconds + 30)
        found: dict[str, Any] = json.loads(process.output())
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
