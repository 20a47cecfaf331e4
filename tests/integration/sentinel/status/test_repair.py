"""`flask sentinel repair` on real processes: a master that somebody made a stranger's replica."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis.exceptions import RedisError

from sentinel import LocalOptions, LocalTopology, Login, TopologyError, wait_for
from tests.support.switchover import service_on
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.workers import RunningWorker
from verifier.cli.sentinel import sentinel_group
from verifier.store.history import EventKind, HistoryEvent, read_history

pytestmark = pytest.mark.chaos

# A shorter down-after has warnings of its own.
SHIPPED = LocalOptions(superuser=True)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(SHIPPED) as topology:
        yield topology


@pytest.fixture
def own(running: LocalTopology) -> Iterator[LocalTopology]:
    """Healed before and after, strangers gone."""
    running.heal()
    yield running
    for stranger in running.strangers:
        if stranger.running:
            stranger.kill()
    running.heal()


def _run(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(sentinel_group, arguments, env={**topology.environment(), **environment})


def test_it_gives_the_role_back_and_proves_it(own: LocalTopology) -> None:
    """Status names it; the command asks, does it, writes, and nothing that was written before is lost."""
    master = own.current_master()
    with own.admin(master) as client:
        assert wait_for(lambda: _writes(own, "before"), FAILOVER_WITHIN_S)
        own.make_rogue(own.start_stranger().endpoint)
        told = _run(own, "status")
        assert "`flask sentinel repair` looks at the conditions once more" in told.output
        asked = _run(own, "repair")
        assert asked.exit_code == 1
        assert "REPLICAOF NO ONE will be run on it" in asked.output
        assert client.role()[0] == "slave"
        done = _run(own, "repair", "--yes")
        assert done.exit_code == 0, done.output
        assert f"{master.endpoint} is the master again, and took a write" in done.output
        assert client.get("verifier:test") == "before"
    assert wait_for(lambda: "Nothing is wrong" in _run(own, "status").output, FAILOVER_WITHIN_S)
    assert own.current_master() is master
    assert not [
        line
        for line in (master.directory / "redis.conf").read_text().splitlines()
        if line.startswith("replicaof")
    ]


def _writes(topology: LocalTopology, value: str) -> bool:
    try:
        with topology.admin(topology.current_master()) as client:
            return bool(client.set("verifier:test", value)) and client.wait(1, 1000) >= 1
    except RedisError:
        return False


def test_there_is_nothing_to_repair(own: LocalTopology) -> None:
    """It says so, and changes nothing."""
    master = own.current_master()
    told = _run(own, "repair", "--yes")
    assert told.exit_code == 0
    assert f"Nothing is to be repaired: {master.endpoint} is the master by its own word, too." in told.output


def test_it_takes_no_strangers_data_for_ours(own: LocalTopology) -> None:
    """A stranger that let the master copy from it: the data are gone there, and to release it would seal that."""
    stranger = own.start_stranger(shares_users=True)
    rogue = own.make_rogue(stranger.endpoint)
    with own.admin(rogue) as client:
        assert wait_for(lambda: client.role()[3] == "connected", FAILOVER_WITHIN_S)
        told = _run(own, "repair", "--yes")
        assert told.exit_code == 1
        assert "its data are that one's" in told.output
        assert client.role()[0] == "slave"


def test_it_needs_a_majority_of_the_sentinels(own: LocalTopology) -> None:
    """One of three may know an old state."""
    rogue = own.make_rogue(own.start_stranger().endpoint)
    for sentinel in own.sentinel_nodes[1:]:
        sentinel.kill()
    told = _run(own, "repair", "--yes")
    assert told.exit_code == 1
    assert "Only 1 of 3 sentinels name the same master" in told.output
    with own.admin(rogue) as client:
        assert client.role()[0] == "slave"


def test_the_rights_it_lacks_are_named(own: LocalTopology) -> None:
    """The app's user may not do it."""
    assert own.credentials is not None
    app = own.credentials.redis_app
    own.make_rogue(own.start_stranger().endpoint)
    told = _run(
        own,
        "repair",
        "--yes",
        VERIFIER_REDIS_OPS_USERNAME=app.username,
        VERIFIER_REDIS_OPS_PASSWORD=app.password,
    )
    assert told.exit_code == 1
    assert "lacks the rights +replicaof, +config|rewrite" in told.output


def test_a_worker_does_it_by_itself_where_it_may(own: LocalTopology) -> None:
    """Opted in, one of two workers gives the order, once, and the history says which."""
    assert own.credentials is not None
    assert wait_for(lambda: _writes(own, "before"), FAILOVER_WITHIN_S)
    with service_on(own) as container:
        redis = replace(container.settings.redis, repair_rogue_master=True)
        settings = replace(container.settings, redis=redis)
    assert redis.ops_login != Login()
    master = own.current_master()
    with RunningWorker(settings, name="one") as one, RunningWorker(settings, name="two"):
        one.wait(lambda: _alive(own) == 2)
        own.make_rogue(own.start_stranger().endpoint)
        one.wait(lambda: bool(_repairs_by_workers(own)), FAILOVER_WITHIN_S)
    [repaired] = _repairs_by_workers(own)
    assert repaired.new == master.endpoint
    assert repaired.by in {"worker one", "worker two"}
    assert EventKind.ROGUE in {each.kind for each in _history(own)}
    assert own.current_master() is master


def _alive(topology: LocalTopology) -> int:
    with topology.admin(topology.current_master()) as client:
        alive: Any = client.zcard("verifier:workers")
        return int(alive)


def _repairs_by_workers(topology: LocalTopology) -> list[HistoryEvent]:
    return [
        each for each in _history(topology) if each.kind is EventKind.REPAIR and each.by.startswith("worker ")
    ]


def _history(topology: LocalTopology) -> list[HistoryEvent]:
    try:
        with topology.admin(topology.current_master()) as client:
            return read_history(client)
    except (RedisError, TopologyError):
        return []
