"""`flask sentinel status`, asked again and again through whole failovers: it never gives advice that does harm."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from sentinel import Endpoint, LocalNode, LocalOptions, LocalTopology, wait_for
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.cli.sentinel import sentinel_group

pytestmark = pytest.mark.chaos

ASK_EVERY_S = 0.2
SENT_TO = re.compile(r"REPLICAOF (\S+) (\d+)")
RELEASED = re.compile(r"REPLICAOF NO ONE on (\S+?)[ :.]")

# A shorter down-after has warnings of its own.
SHIPPED = LocalOptions(superuser=True)


@pytest.fixture(scope="module")
def own() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(SHIPPED) as topology:
        yield topology


@pytest.fixture
def healthy(own: LocalTopology) -> Iterator[LocalTopology]:
    """Healed before and after."""
    own.heal()
    assert wait_for(lambda: _status(own)["findings"] == [], FAILOVER_WITHIN_S, interval_s=0.2), _status(own)[
        "findings"
    ]
    yield own
    own.heal()


def _status(topology: LocalTopology) -> Any:
    return json.loads(
        CliRunner().invoke(sentinel_group, ["status", "--json"], env=topology.environment()).output
    )


def _watch(topology: LocalTopology, until: Callable[[Any], bool]) -> list[Any]:
    """Ask each 0.2 s until something is seen; return all that was told."""
    told: list[Any] = []

    def seen() -> bool:
        told.append(_status(topology))
        return until(told[-1])

    assert wait_for(seen, FAILOVER_WITHIN_S, interval_s=ASK_EVERY_S), told[-1]
    return told


def _check(told: list[Any], dead: LocalNode | None = None) -> None:
    """Look at all advice: nobody is sent to a node that is silent or no master, nor ever while it moves."""
    for each in told:
        roles = {node["endpoint"]: node["role"] for node in each["nodes"]}
        moving = len({sentinel["master"] for sentinel in each["sentinels"]} - {None}) > 1 or any(
            "failover_in_progress" in sentinel["flags"] for sentinel in each["sentinels"]
        )
        for finding in each["findings"]:
            targets = [str(Endpoint(host, int(port))) for host, port in SENT_TO.findall(finding["remedy"])]
            assert not (moving and (targets or RELEASED.search(finding["remedy"]))), finding
            for target in targets:
                assert roles[target] == "master", finding
                assert dead is None or target != str(dead.endpoint), finding


def _moved_from(old: LocalNode) -> Callable[[Any], bool]:
    return lambda told: told["master"] != str(old.endpoint) and _is_calm(told)


def _is_calm(told: Any) -> bool:
    return not [each for each in told["findings"] if each["severity"] == "critical"]


def test_killed_and_back(healthy: LocalTopology) -> None:
    """Through the failover, then through the return of the old master, which is one for some seconds."""
    old = healthy.current_master()
    old.kill()
    told = _watch(healthy, _moved_from(old))
    _check(told, dead=old)
    assert any(each["findings"] for each in told)
    old.restart()
    _check(_watch(healthy, lambda told: told["findings"] == []))


@pytest.mark.long
def test_hung_and_back(healthy: LocalTopology) -> None:
    """It wakes up as a master that nobody names any more."""
    old = healthy.current_master()
    old.pause()
    _check(_watch(healthy, _moved_from(old)), dead=old)
    old.resume()
    _check(_watch(healthy, lambda told: told["findings"] == []))


@pytest.mark.long
def test_ordered(healthy: LocalTopology) -> None:
    """A bare SENTINEL FAILOVER: for some seconds there are two that say that they are the master."""
    old = healthy.current_master()
    healthy.failover()
    begun_at = time.monotonic()
    told = _watch(healthy, lambda told: told["master"] != str(old.endpoint) and told["findings"] == [])
    _check(told)
    assert time.monotonic() - begun_at < FAILOVER_WITHIN_S
    assert {finding["code"] for each in told for finding in each["findings"]} & {
        "failover-in-progress",
        "being-promoted",
        "two-masters",
    }
