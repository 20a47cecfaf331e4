"""What a verification costs the master: processor time and commands, by step, so what one master carries a day.

A verification goes all the way: accepted through the API, claimed and settled by a worker, its code checked. The
figures are differences of what the real master says of itself (INFO cpu and commandstats), so whatever else Redis does
meanwhile is in them: replication, the append-only file, Sentinel's and the worker's regular questions.
"""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from sentinel import wait_for
from tests.bench.sinks import counting_sink
from tests.bench.sizes import Sizes
from tests.bench.testbed import BenchTestbed, report_progress
from verifier.domain.codes import code_of
from verifier.domain.keys import parse_keys
from verifier.domain.rules import Rules
from verifier.drill.rig.process import RigError

SHARE_OF_A_CORE = 0.5
"""How much of one core the master may be busy for: the rest is for failovers, rewrites and bursts."""
DAY_S = 86_400
CONNECTIONS = 8
SLOWEST = 3
BUSIEST_HOUR = 3.0
"""How many times the average the busiest hour has."""


@dataclass(frozen=True)
class StepCost:
    """What one step costs: all times in microseconds a verification."""

    name: str
    cpu_us: float
    """Of all the master's threads and children; what it costs when nobody submits is taken off."""
    commands: float
    """Those inside of scripts and the regular ones of replicas, sentinels and workers are counted, too."""
    slowest_commands: dict[str, float]
    """Time inside the most expensive commands, by name."""


@dataclass(frozen=True)
class MasterLoad:
    """A verification's cost by step."""

    verifications: int
    steps: list[StepCost]
    idle_cpu_us_a_second: float

    @property
    def cpu_us(self) -> float:
        """All steps together."""
        return sum(step.cpu_us for step in self.steps)

    @property
    def a_second(self) -> float:
        """How many verifications a second keep the master busy for the share of a core that it may be."""
        return SHARE_OF_A_CORE * 1e6 / self.cpu_us

    @property
    def a_day(self) -> float:
        """How many a day, where the busiest hour has three times the average."""
        return self.a_second * DAY_S / BUSIEST_HOUR


@dataclass(frozen=True)
class _Reading:
    """What the master says of itself at one moment."""

    at: float
    cpu_s: float
    calls: int
    spent_us: dict[str, int]


def measure_master_load(testbed: BenchTestbed, sizes: Sizes) -> MasterLoad:
    """Measure each step on its own."""
    number = sizes.master_verifications
    testbed.flush()
    with counting_sink(testbed.directory) as sink, testbed.web(testbed.ours, sink.port) as service:
        idle = _idle_us_a_second(testbed, sizes.master_idle_s)
        before = _read(testbed)
        accepted = _accept(service.port, number)
        steps = [_cost("accept", before, _read(testbed), number, idle)]
        before = _read(testbed)
        service.await_worker(service.add_worker())
        _wait_until_nothing_is_owed(testbed)
        after = _read(testbed)
        idle = _idle_us_a_second(testbed, sizes.master_idle_s)
        steps.append(_cost("claim and settle", before, after, number, idle))
        before = _read(testbed)
        _check(service.port, accepted, testbed.ours.settings["VERIFIER_SECRET_KEYS"])
        steps.append(_cost("check", before, _read(testbed), number, idle))
    found = MasterLoad(number, steps, idle)
    report_progress(f"a verification costs the master {found.cpu_us:.0f} us of processor time")
    return found


def _accept(port: int, number: int) -> dict[str, str]:
    """Submit so many addresses; return each verification's id and its address."""
    addresses = [f"user{each:06d}@example.org" for each in range(number)]
    replies = _post_all(port, [("/v1/verifications", {"to": address}) for address in addresses], 201)
    return {str(reply["id"]): str(reply["to"]) for reply in replies}


def _check(port: int, accepted: dict[str, str], keys: str) -> None:
    """Type each verification's code."""
    ring, rules = parse_keys(keys), Rules()
    posts = []
    for each, address in accepted.items():
        code = code_of(each, address, ring.current, ring, rules)
        assert code is not None
        posts.append((f"/v1/verifications/{each}/check", {"code": code}))
    if not all(reply["valid"] for reply in _post_all(port, posts, 200)):
        raise RigError("A right code was taken for wrong.")


def _post_all(port: int, posts: list[tuple[str, dict[str, str]]], status: int) -> list[dict[str, object]]:
    """Post over a few connections at a time. Raises RigError where an answer is another one."""

    def post(some: list[tuple[str, dict[str, str]]]) -> list[dict[str, object]]:
        replies = []
        web = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(web):
            for path, body in some:
                web.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                reply = web.getresponse()
                text = reply.read()
                if reply.status != status:
                    raise RigError(f"{path} was answered with {reply.status}: {text[:200]!r}")
                replies.append(json.loads(text))
        return replies

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = pool.map(post, [posts[start::CONNECTIONS] for start in range(CONNECTIONS)])
        return [reply for part in parts for reply in part]


def _wait_until_nothing_is_owed(testbed: BenchTestbed) -> None:
    with testbed.admin() as client:
        if not wait_for(lambda: not client.exists("verifier:due"), 120, interval_s=0.05):
            raise RigError("The worker did not clear the queue within 120 s.")


def _idle_us_a_second(testbed: BenchTestbed, seconds: float) -> float:
    before = _read(testbed)
    time.sleep(seconds)
    after = _read(testbed)
    return 1e6 * (after.cpu_s - before.cpu_s) / (after.at - before.at)


def _read(testbed: BenchTestbed) -> _Reading:
    with testbed.admin() as client:
        cpu, commands = client.info("cpu"), client.info("commandstats")
    spent = {name.removeprefix("cmdstat_"): each for name, each in commands.items()}
    return _Reading(
        time.perf_counter(),
        sum(float(cpu[f"used_cpu_{kind}"]) for kind in ("sys", "user", "sys_children", "user_children")),
        sum(int(each["calls"]) for each in spent.values()),
        {name: int(each["usec"]) for name, each in spent.items()},
    )


def _cost(name: str, before: _Reading, after: _Reading, number: int, idle_us_a_second: float) -> StepCost:
    cpu_us = 1e6 * (after.cpu_s - before.cpu_s) - idle_us_a_second * (after.at - before.at)
    spent = {
        command: (usec - before.spent_us.get(command, 0)) / number for command, usec in after.spent_us.items()
    }
    most = sorted(spent.items(), key=lambda one: -one[1])[:SLOWEST]
    report_progress(f"{name}: {cpu_us / number:.0f} us of the master's processor time each")
    return StepCost(name, cpu_us / number, (after.calls - before.calls) / number, dict(most))
