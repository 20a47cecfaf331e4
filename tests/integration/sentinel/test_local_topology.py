"""The embedded topology: it starts whole, stops without a trace, and dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel import (
    LocalOptions,
    LocalStartError,
    LocalTopology,
    Login,
    RedisServerMissing,
    TopologyError,
    parse_endpoint,
    shipped_times_ms,
    wait_for,
)
from sentinel.local.directory import remove_abandoned
from sentinel.local.running_topology import connect
from tests.support.topologies import FAILOVER_WITHIN_S

ROOT = Path(__file__).parents[3]

STARTS_AND_WAITS = """
import sys, time
from sentinel import LocalTopology
topology = LocalTopology()
topology.start()
print(topology.directory, *(process.pid for process in topology.processes), flush=True)
sys.stdin.read()
"""

FORKS = """
import os
from sentinel import LocalTopology
with LocalTopology() as topology:
    child = os.fork()
    if child == 0:
        topology.stop()
        os._exit(0)
    os.waitpid(child, 0)
    print(topology.is_healthy(), topology.directory.exists())
"""


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit status yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_starts_whole(topology: LocalTopology) -> None:
    """After the start one master, two replicas and three sentinels all know each other."""
    assert topology.is_healthy()
    assert len(topology.nodes) == 3
    assert len(topology.sentinels) == 3
    for sentinel in topology.snapshot().sentinels:
        assert sentinel.master == topology.current_master().endpoint
        assert len(sentinel.replicas) == 2
        assert len(sentinel.peers) == 2


def test_environment_leads_the_app_to_the_master(topology: LocalTopology) -> None:
    """The settings alone are enough to find the master and to write to it."""
    settings = topology.environment()
    sentinels = [parse_endpoint(text, 26379) for text in settings["VERIFIER_SENTINELS"].split(",")]
    assert tuple(sentinels) == topology.sentinels
    assert topology.credentials is not None
    assert settings["VERIFIER_SENTINEL_PASSWORD"] == topology.credentials.sentinel_app.password
    with connect(sentinels[0], topology.credentials.sentinel_app) as sentinel:
        name = settings["VERIFIER_SENTINEL_MASTER"]
        host, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    with connect(parse_endpoint(f"{host}:{port}", 0), topology.credentials.redis_app) as redis:
        assert redis.set("verifier:test", "1", ex=5)
        assert redis.execute_command("WAIT", 2, 2000) == 2


def test_failover_right_after_the_start_works() -> None:
    """A sentinel obeys at once, since nothing has to be discovered any more."""
    with LocalTopology(LocalOptions(down_after_ms=1000)) as own:
        first = own.current_master()
        own.failover()
        assert wait_for(lambda: _master_or_none(own) not in {None, first}, FAILOVER_WITHIN_S)


def _master_or_none(topology: LocalTopology) -> object:
    try:
        return topology.current_master()
    except TopologyError:
        return None


def test_runs_in_sessions_of_its_own(topology: LocalTopology) -> None:
    """Ctrl-C in our terminal does not reach the servers."""
    sessions = {os.getsid(process.pid) for process in topology.processes}
    assert sessions == {process.pid for process in topology.processes}


def test_no_password_in_arguments_or_readable_files(topology: LocalTopology) -> None:
    """Passwords stand in files only their owner reads, never in a process's arguments."""
    assert topology.credentials is not None
    for process in topology.processes:
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert topology.credentials.redis_replica.password not in arguments
        for file in process.directory.glob("*.conf"):
            assert file.stat().st_mode & 0o077 == 0
        for file in process.directory.glob("*.acl"):
            assert file.stat().st_mode & 0o077 == 0
            assert topology.credentials.redis_app.password not in file.read_text()


def test_stop_leaves_nothing_and_can_be_repeated() -> None:
    """After stop there is no process and no directory; a second stop does nothing."""
    own = LocalTopology()
    own.start()
    pids = [process.pid for process in own.processes]
    directory = own.directory
    own.stop()
    own.stop()
    assert all(_is_gone(pid) for pid in pids)
    assert not directory.exists()


def test_stop_ends_hung_and_dead_processes_too() -> None:
    """A node stopped by SIGSTOP and one killed before are no obstacle."""
    own = LocalTopology()
    own.start()
    pids = [process.pid for process in own.processes]
    own.nodes[1].pause()
    own.nodes[2].kill()
    own.stop()
    assert all(_is_gone(pid) for pid in pids)


def test_chosen_directory_stays(tmp_path: Path) -> None:
    """In a named directory, the logs and data stay after the stop."""
    with LocalTopology(
        LocalOptions(directory=tmp_path / "kept", replicas=0, min_replicas_to_write=0, sentinels=1)
    ):
        pass
    assert "Ready to accept connections" in (tmp_path / "kept" / "redis-1" / "log").read_text()


def test_killed_parent_leaves_no_process() -> None:
    """When the parent dies of kill -9, the kernel kills every server; the next start removes the directory."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        directory, *pids = parent.stdout.readline().split()
        assert len(pids) == 6
        parent.send_signal(signal.SIGKILL)
        assert wait_for(lambda: all(_is_gone(int(pid)) for pid in pids), 60)
    os.utime(directory, (0, 0))
    remove_abandoned(Path(directory).parent)
    assert not Path(directory).exists()


def test_parent_that_ends_without_stopping_leaves_nothing() -> None:
    """A program that just ends has its topology stopped and the directory removed."""
    ended = subprocess.run(
        [sys.executable, "-c", STARTS_AND_WAITS], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    directory, *pids = ended.stdout.split()
    assert all(_is_gone(int(pid)) for pid in pids)
    assert not Path(directory).exists()


def test_forked_child_cannot_stop_it() -> None:
    """A forked worker that cleans up does not take the parent's topology with it."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["True", "True"]


def test_two_topologies_run_side_by_side(topology: LocalTopology) -> None:
    """A second topology takes other ports and other passwords, and its sentinels know only their own."""
    with LocalTopology() as other:
        assert not set(other.sentinels) & set(topology.sentinels)
        assert other.is_healthy()
        assert topology.is_healthy()
        assert other.credentials != topology.credentials


def test_plain_deployment_without_users() -> None:
    """With acl=False nobody needs a name or password, and the environment names none."""
    with LocalTopology(LocalOptions(acl=False)) as plain:
        assert set(plain.environment()) == {"VERIFIER_SENTINELS", "VERIFIER_SENTINEL_MASTER"}
        with connect(plain.current_master().endpoint, Login()) as redis:
            assert redis.set("anything", "1")


def test_single_node_with_one_sentinel() -> None:
    """A topology of one node accepts writes without replicas."""
    with LocalTopology(LocalOptions(replicas=0, sentinels=1, min_replicas_to_write=0)) as single:
        assert single.credentials is not None
        with connect(single.current_master().endpoint, single.credentials.redis_app) as redis:
            assert redis.set("verifier:test", "1")


def test_the_times_that_are_shipped_are_those_of_the_start_script() -> None:
    """Nothing else sets them: not compose, not the embedded topology."""
    with LocalTopology() as own:
        sentinels = own.snapshot().sentinels
    assert {(each.down_after_ms, each.failover_timeout_ms) for each in sentinels} == {shipped_times_ms()}


def test_options_reach_the_servers() -> None:
    """Limits and times are those asked for, and every node keeps an append-only file."""
    options = LocalOptions(
        maxmemory="32mb", down_after_ms=3210, failover_timeout_ms=12345, master_name="other", superuser=True
    )
    with LocalTopology(options) as own:
        with own.admin(own.nodes[1]) as node:
            settings = node.config_get("*")
        with own.admin(own.sentinel_nodes[2]) as sentinel:
            flat = sentinel.execute_command("SENTINEL", "MASTER", "other")
    assert settings["maxmemory"] == str(32 * 1024 * 1024)
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
    assert (settings["maxmemory-policy"], settings["min-replicas-to-write"]) == ("noeviction", "1")
    watched = dict(zip(flat[::2], flat[1::2], strict=True))
    assert (watched["down-after-milliseconds"], watched["failover-timeout"]) == ("3210", "12345")


def test_server_that_dies_at_start_is_quoted() -> None:
    """The error holds what the server itself said, and nothing is left running."""
    own = LocalTopology(LocalOptions(maxmemory="plenty"))
    with pytest.raises(
        LocalStartError, match=r"(?s)redis-1 at .* ended while starting.*'maxmemory plenty'|\"plenty\""
    ):
        own.start()
    assert not any(process.running for process in own.processes)


def test_missing_binary_gives_the_sentence(tmp_path: Path) -> None:
    """Where no redis-server can be run, nothing starts and one sentence says why."""
    own = LocalTopology(environ={"VERIFIER_REDIS_SERVER": str(tmp_path / "none")})
    with pytest.raises(RedisServerMissing, match="correct or unset it"):
        own.start()


def test_starting_twice_is_refused(topology: LocalTopology) -> None:
    """One object stands for one topology."""
    with pytest.raises(TopologyError, match="started before: make another one"):
        topology.start()
