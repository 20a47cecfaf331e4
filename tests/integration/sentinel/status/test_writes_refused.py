"""A master that looks well and takes no writes: really made, told by `flask sentinel status`, no ground to switch over on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis
from redis.exceptions import RedisError

from sentinel import LocalNode, LocalOptions, LocalTopology, wait_for
from verifier.cli.sentinel import sentinel_group

Disturbed = Callable[[LocalTopology], Any]


@pytest.fixture(scope="module")
def own() -> Iterator[LocalTopology]:
    """Sentinels take a master that is held for longer than their down-after for dead; these are patient."""
    with LocalTopology(LocalOptions(down_after_ms=60_000, superuser=True)) as topology:
        yield topology


@pytest.fixture
def healthy(own: LocalTopology) -> LocalTopology:
    """Nothing is wrong before a test begins: what the one before disturbed is over."""
    assert wait_for(lambda: "CRITICAL" not in _status(own).output, 30, interval_s=0.2), _status(own).output
    return own


def _run(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(sentinel_group, arguments, env={**topology.environment(), **environment})


def _status(topology: LocalTopology, **environment: str) -> Result:
    return _run(topology, "status", **environment)


@contextmanager
def _set(node: LocalNode, topology: LocalTopology, name: str, value: str) -> Iterator[None]:
    with topology.admin(node) as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        try:
            yield
        finally:
            client.config_set(name, before)


@contextmanager
def _full(topology: LocalTopology) -> Iterator[None]:
    with _set(topology.current_master(), topology, "maxmemory", "1mb"):
        yield


@contextmanager
def _paused(topology: LocalTopology) -> Iterator[None]:
    with topology.admin(topology.current_master()) as client:
        client.execute_command("CLIENT", "PAUSE", "50000", "WRITE")
        try:
            yield
        finally:
            client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def _wanting_three_replicas(topology: LocalTopology) -> Iterator[None]:
    with _set(topology.current_master(), topology, "min-replicas-to-write", "3"):
        yield


@contextmanager
def _disk_full(topology: LocalTopology) -> Iterator[None]:
    """Have the append-only file go on where no write has room: /dev/full."""
    master = topology.current_master()
    with topology.admin(master) as client:
        folder = master.directory / "appendonlydir"
        if not folder.is_dir():
            pytest.skip("before Redis 7.0 a rewrite leaves no way to put a full device in the file's place")
        newest = max(int(file.name.split(".")[2]) for file in folder.glob("*.incr.aof"))
        following = folder / f"appendonly.aof.{newest + 1}.incr.aof"
        following.symlink_to("/dev/full")
        client.bgrewriteaof()
        assert wait_for(lambda: _aof_status(client) == "err", 20, interval_s=0.05)
        try:
            yield
        finally:
            assert wait_for(lambda: _rewritten(client), 20, interval_s=0.2)


def _aof_status(client: Redis) -> str:
    """Write, since the file is only written to when there is something to write."""
    with suppress(RedisError):
        client.set("verifier:test", "1", ex=60)
    info: Any = client.info("persistence")
    return str(info["aof_last_write_status"])


def _rewritten(client: Redis) -> bool:
    """Have a new file begun, and return whether Redis has noticed."""
    if _aof_status(client) == "ok":
        return True
    with suppress(RedisError):  # one is under way, or waits
        client.bgrewriteaof()
    return False


STATES: dict[str, tuple[Disturbed, str]] = {
    "full": (_full, "its memory is full ("),
    "paused": (_paused, "writes are held (CLIENT PAUSE)"),
    "replicas": (_wanting_three_replicas, "(min-replicas-to-write), and has 2"),
    "disk": (_disk_full, "it could not write its append-only file to its disk"),
}


@pytest.mark.parametrize("state", STATES)
def test_writes_that_fail_are_critical_and_forbid_a_switchover(healthy: LocalTopology, state: str) -> None:
    """Each is told with its reason, exits with 1, and nothing is moved."""
    disturbed, said = STATES[state]
    master = healthy.current_master()
    with disturbed(healthy):
        told = _status(healthy)
        assert told.exit_code == 1, told.output
        assert f"CRITICAL: The master {master.endpoint} takes no writes: " in told.output
        assert said in told.output
        assert "Nothing is wrong" not in told.output
        moved = _run(healthy, "switchover", "--yes")
        assert moved.exit_code == 1
        assert "No switchover was begun" in moved.output
    assert healthy.current_master() is master
    assert wait_for(lambda: "CRITICAL" not in _status(healthy).output, 30, interval_s=0.2)


def test_a_replica_that_would_take_no_writes_forbids_it_too(healthy: LocalTopology) -> None:
    """Writes go on, but the next failover would end them: Sentinel may choose that one."""
    replica = healthy.replicas()[0]
    with _set(replica, healthy, "maxmemory", "1mb"):
        moved = _run(healthy, "switchover", "--yes")
    assert moved.exit_code == 1
    assert (
        f"CRITICAL: Promoted, the replica {replica.endpoint} would take no writes: its memory is full"
        in moved.output
    )


def test_a_replica_that_confirms_nothing_is_told(healthy: LocalTopology) -> None:
    """With both replicas hung the master still writes, and the service still accepts nothing."""
    replicas = healthy.replicas()
    for replica in replicas:
        replica.pause()
    try:
        told = _status(healthy)
    finally:
        for replica in replicas:
            replica.resume()
    assert told.exit_code == 1
    assert "0 of the 1 replicas that must have it confirmed it" in told.output


def test_a_wrong_login_of_the_app_is_told(healthy: LocalTopology) -> None:
    """The operators' login works, so all looks well; the app's does not."""
    told = _status(healthy, VERIFIER_REDIS_PASSWORD="wrong")
    assert told.exit_code == 1
    assert "it refuses the app's login (" in told.output


def test_without_the_apps_login_it_says_that_it_does_not_know(healthy: LocalTopology) -> None:
    """Nothing is wrong is said only where a write was taken."""
    told = _status(healthy, VERIFIER_REDIS_USERNAME="", VERIFIER_REDIS_PASSWORD="")
    assert "WARNING: Whether the master" in told.output
    assert "Nothing is wrong" not in told.output
    with _full(healthy):
        told = _status(healthy, VERIFIER_REDIS_USERNAME="", VERIFIER_REDIS_PASSWORD="")
    assert "takes no writes: its memory is full" in told.output


def test_a_write_that_is_taken_is_told(healthy: LocalTopology) -> None:
    """For people and for programs; the key expires within a minute."""
    master = healthy.current_master()
    assert f"{master.endpoint} has just taken a write within " in _status(healthy).output
    told = json.loads(_run(healthy, "status", "--json").output)
    assert told["write"]["node"] == str(master.endpoint)
    assert told["write"]["refusal"] is None
    assert told["write"]["acknowledged"] >= 1
    with healthy.admin(master) as client:
        assert 0 < client.pttl("verifier:probe") <= 60_000


def test_a_switchover_ends_with_a_write_on_the_new_master(healthy: LocalTopology) -> None:
    """It says that it was taken."""
    moved = _run(healthy, "switchover", "--yes")
    assert moved.exit_code == 0, moved.output
    master = healthy.current_master()
    assert f"{master.endpoint} took a write, and " in moved.output
