"""The planned switchover and the operators' commands, on real processes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis.exceptions import RedisError

from sentinel import (
    Endpoint,
    LocalNode,
    LocalOptions,
    LocalTopology,
    Login,
    MasterNotReady,
    Role,
    refusals_of,
    survey,
    switch_over,
    wait_for,
)
from sentinel.switchover.report import Step, SwitchoverRefused
from sentinel.switchover.write_pause import PAUSE_S, WritePause
from sentinel.topology.node_commands import NodeCommands
from tests.support.links import subscribed_to
from tests.support.switchover import Submitters, service_on
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.cli.sentinel import operators, sentinel_group

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(LocalOptions(down_after_ms=1000, superuser=True)) as topology:
        yield topology


@pytest.fixture
def own(running: LocalTopology) -> Iterator[LocalTopology]:
    """The module's topology, ready for a switchover before and healed afterwards."""
    running.heal()
    # After a failover that nobody planned, a sentinel may be behind for ten seconds.
    assert wait_for(lambda: not refusals_of(survey(running.operators_access())), 60, interval_s=0.1)
    yield running
    running.heal()


def _configure(topology: LocalTopology, node: LocalNode, name: str, value: str) -> None:
    with topology.admin(node) as client:
        client.config_set(name, value)


def _command(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    """Run `flask sentinel` in this process, with the topology's environment."""
    settings = {**topology.environment(), **environment}
    return CliRunner().invoke(sentinel_group, arguments, env=settings)


def test_switchover_under_load_loses_and_refuses_nothing() -> None:
    """There and back again while addresses are submitted: each one accepted is there, none was refused."""
    # With the times that are shipped: within a second sentinels on a busy machine take a new master for dead now and then.
    with LocalTopology(LocalOptions(superuser=True)) as shipped, service_on(shipped) as parts:
        with Submitters(parts) as submitters:
            for _ in range(2):
                _switch_over_checked(shipped)
        assert submitters.refused == []
        assert submitters.lost() == []
    assert len(submitters.accepted) > 100
    assert submitters.longest_gap_s() < 5


def _switch_over_checked(topology: LocalTopology) -> None:
    old = topology.current_master()
    result = switch_over(topology.operators_access())
    assert result.old == old.endpoint
    assert topology.current_master().endpoint == result.new
    assert str(result.new) in next(each.message for each in result.steps if each.step is Step.IN_SYNC)
    assert [each.step for each in result.steps] == list(Step)
    assert result.notes == ()


def test_slow_promotion_loses_nothing(own: LocalTopology) -> None:
    """A bare SENTINEL FAILOVER whose replica stalls for two seconds as soon as it was chosen: nothing accepted is lost."""
    old = own.current_master()
    with service_on(own) as container:
        with Submitters(container) as submitters:
            assert wait_for(lambda: len(subscribed_to(container.link)) == 3, 60)
            assert wait_for(lambda: len(submitters.accepted) > 100, 60)
            chosen = _fail_over(own)
            begun_at = time.monotonic()
            _stall(chosen, 2.0)
            assert wait_for(
                lambda: container.link.directory.last_master == chosen.endpoint, FAILOVER_WITHIN_S
            )
            assert time.monotonic() - begun_at > 2
        # The old master is demoted ten seconds later, at most: until then it still has what it accepted.
        assert wait_for(lambda: _follows(own, old), FAILOVER_WITHIN_S)
        assert submitters.lost() == []
        assert submitters.refused == []
    assert submitters.longest_gap_s() < 10


def _fail_over(topology: LocalTopology) -> LocalNode:
    """Give the order; return the replica as soon as it is chosen, before it is told."""
    # The sentinel that is given the order leads, and says whom it chose.
    with topology.admin(topology.sentinel_nodes[0]) as client, client.pubsub() as subscriber:
        subscriber.subscribe("+selected-slave")
        assert subscriber.get_message(timeout=30)
        topology.failover()
        message = subscriber.get_message(timeout=30)
    assert message is not None
    _, _, host, port, *_ = message["data"].split(" ")
    return next(node for node in topology.nodes if node.endpoint == Endpoint(host, int(port)))


def _stall(node: LocalNode, duration_s: float) -> None:
    """Stop a process for a while."""
    node.pause()
    time.sleep(duration_s)
    node.resume()


def _follows(topology: LocalTopology, node: LocalNode) -> bool:
    try:
        with topology.admin(node) as client:
            return bool(client.role()[0] == "slave")
    except RedisError:  # it hangs up on everybody when it becomes one
        return False


def test_switchover_leaves_a_healthy_topology(own: LocalTopology) -> None:
    """When it returns, another failover would work: everybody is in sync and agrees."""
    result = switch_over(own.operators_access())
    after = survey(own.operators_access())
    assert after.named_master == result.new
    assert result.old in {node.endpoint for node in after.candidates}
    assert wait_for(own.is_healthy, 60, interval_s=0.1), own.snapshot()


def test_role_is_written_down(own: LocalTopology) -> None:
    """The old master's file names its new master: restarted, it does not come back as a master."""
    old = own.current_master()
    result = switch_over(own.operators_access())
    lines = (old.directory / "redis.conf").read_text().splitlines()
    assert f"replicaof {result.new.host} {result.new.port}" in lines


def test_everybody_is_learnt_from_one_sentinel(own: LocalTopology) -> None:
    """One sentinel in the settings is enough to find the others and all nodes."""
    access = replace(own.operators_access(), sentinels=own.sentinels[:1])
    topology = survey(access)
    assert {each.endpoint for each in topology.sentinels} == set(own.sentinels)
    assert {node.endpoint for node in topology.nodes} == {node.endpoint for node in own.nodes}
    assert [node.role for node in topology.nodes] == [Role.MASTER, Role.REPLICA, Role.REPLICA]
    assert len(topology.candidates) == 2
    assert all(each.has_quorum and each.tilt is False for each in topology.sentinels)


def test_silent_ones_delay_the_survey_a_little_and_do_not_end_it(own: LocalTopology) -> None:
    """A hung sentinel and a hung replica are noted as silent, within seconds."""
    replica = own.replicas()[0]
    replica.pause()
    own.sentinel_nodes[0].pause()
    begun = time.monotonic()
    topology = survey(own.operators_access())
    assert time.monotonic() - begun < 15
    silent = {each.endpoint for each in (*topology.sentinels, *topology.nodes) if not each.answers}
    assert silent == {replica.endpoint, own.sentinels[0]}


def test_lost_quorum_refuses_it(own: LocalTopology) -> None:
    """With one sentinel of three nobody could promote anybody, and nothing is touched."""
    master = own.current_master()
    for sentinel in own.sentinel_nodes[1:]:
        sentinel.kill()
    with pytest.raises(SwitchoverRefused, match="Only 1 of 3 sentinels answer"):
        switch_over(own.operators_access())
    with own.admin(master) as client:
        assert client.set("verifier:test", "not held", ex=10)


def test_replicas_never_to_be_promoted_refuse_it(own: LocalTopology) -> None:
    """Where all replicas have priority 0, Sentinel's CKQUORUM still says OK; we do not."""
    replicas = own.replicas()
    for node in replicas:
        _configure(own, node, "replica-priority", "0")
    try:
        with pytest.raises(SwitchoverRefused, match="replica-priority 0"):
            switch_over(own.operators_access())
    finally:
        for node in replicas:
            _configure(own, node, "replica-priority", "100")


def test_unequal_priorities_refuse_it(own: LocalTopology) -> None:
    """Priority beats offset in Sentinel's choice, so it is mended first."""
    replica = own.replicas()[0]
    _configure(own, replica, "replica-priority", "50")
    try:
        with pytest.raises(SwitchoverRefused, match=f"{replica.endpoint} has 50"):
            switch_over(own.operators_access())
    finally:
        _configure(own, replica, "replica-priority", "100")


def test_hung_replica_refuses_it_until_it_is_seen_down(own: LocalTopology) -> None:
    """Sentinel might choose one that just hung; one that it takes for down it passes over."""
    hung, other = own.replicas()
    hung.pause()
    with pytest.raises(SwitchoverRefused, match=f"The replica {hung.endpoint} gives no information"):
        switch_over(own.operators_access())
    deadline = time.monotonic() + 60
    while not survey(own.operators_access()).is_seen_down(hung.endpoint):
        assert time.monotonic() < deadline
    assert switch_over(own.operators_access()).new == other.endpoint


def test_users_without_the_rights_refuse_it(own: LocalTopology) -> None:
    """The app's user can't do it; the rights it lacks are named, and nothing is touched."""
    assert own.credentials is not None
    app = own.credentials.redis_app
    access = replace(own.operators_access(), node_login=app)
    with pytest.raises(SwitchoverRefused, match=r"\+client\|pause.*\+replicaof"):
        switch_over(access)


def test_hold_ends_by_itself() -> None:
    """An operator's terminal that dies leaves writes waiting for three seconds at most; renewing never shortens."""
    # Sentinels take a master that is held for longer than their down-after for dead.
    with LocalTopology(LocalOptions(down_after_ms=60_000, superuser=True)) as patient:
        master = patient.current_master()
        begun = time.monotonic()
        with NodeCommands(patient.operators_access().node_login, timeout_s=1) as nodes:
            WritePause(nodes, master.endpoint).hold()
            nodes.ask(master.endpoint, "CLIENT", "PAUSE", "1", "WRITE")
        with NodeCommands(_superuser(patient), timeout_s=60) as nodes:
            assert wait_for(lambda: _writes(nodes, master.endpoint), 60)
        assert PAUSE_S <= time.monotonic() - begun < PAUSE_S + 20


def _writes(nodes: NodeCommands, node: Endpoint) -> bool:
    """Write; False where the replicas have not caught up with a busy machine yet."""
    try:
        return bool(nodes.ask(node, "SET", "verifier:test", "held", "EX", "10") == "OK")
    except MasterNotReady:
        return False


def _superuser(topology: LocalTopology) -> Login:
    assert topology.credentials is not None
    return topology.credentials.redis_drill


@pytest.mark.parametrize("wait_for_step", ["held", "ordered"])
def test_interrupted_command_leaves_one_master_that_takes_writes(
    own: LocalTopology, wait_for_step: str
) -> None:
    """Ctrl-C at any moment: the message says who is the master, and writes go on at once."""
    environment = {**os.environ, **own.environment()}
    command = [sys.executable, "-m", "flask", "sentinel", "switchover", "--yes"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if f" {wait_for_step} " in line:
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 1
    assert "it was interrupted" in said
    master = own.current_master()
    assert f"{master.endpoint} is " in said
    begun = time.monotonic()
    with own.admin(master) as client:
        client.set("verifier:test", "not held", ex=10)
    assert time.monotonic() - begun < PAUSE_S / 2


def test_names_in_place_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all know each other by host names, as containers do, it works the same."""
    with LocalTopology(LocalOptions(down_after_ms=1000, hostname="localhost")) as named:
        result = switch_over(named.operators_access())
        assert result.new.host == "localhost"
        assert result.notes == ()
        assert survey(named.operators_access()).named_master == result.new


def test_plain_deployment(own: LocalTopology) -> None:
    """Without users and passwords the commands work as they are."""
    with LocalTopology(LocalOptions(down_after_ms=1000, acl=False)) as plain:
        old = plain.current_master()
        moved = _command(plain, "switchover", "--yes")
        assert moved.exit_code == 0, moved.output
        assert f"took over from {old.endpoint}" in moved.output
        status = _command(plain, "status")
        assert status.exit_code == 2
        assert "WARNING: " in status.output
        assert "commands from everybody, without a name" in status.output


def test_failover_shows_its_steps(own: LocalTopology) -> None:
    """The command shows who could take over, each step with its time, and the topology afterwards."""
    moved = _command(own, "switchover", "--yes")
    assert moved.exit_code == 0, moved.output
    for step in Step:
        assert f" s  {step} " in moved.output
    assert "Sentinel will choose" in moved.output
    # The tests' times are short on purpose, which it says.
    assert {
        line.split(":")[0] for line in moved.output.splitlines() if line.startswith(("WARNING", "CRITICAL"))
    } == {"WARNING"}
    assert moved.output.count("WARNING") == moved.output.count("10 x down-after-milliseconds")


def test_failover_asks_first(own: LocalTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes a plain Enter changes nothing."""
    monkeypatch.setattr(operators, "is_terminal", lambda: True)
    master = own.current_master()
    refused = CliRunner().invoke(sentinel_group, ["switchover"], env=own.environment(), input="\n")
    assert refused.exit_code == 1
    assert "Shall a replica take over?" in refused.output
    assert own.current_master() is master


def test_status_as_json(own: LocalTopology) -> None:
    """Programs get everything: endpoints as host:port, roles in our words, and what was found."""
    told: dict[str, Any] = json.loads(_command(own, "status", "--json").output)
    assert told["master"] == str(own.current_master().endpoint)
    assert sorted(node["role"] for node in told["nodes"]) == ["master", "replica", "replica"]
    assert {sentinel["endpoint"] for sentinel in told["sentinels"]} == set(map(str, own.sentinels))
    # The tests' times are short on purpose.
    assert {each["code"] for each in told["findings"]} == {"down-after"}


def test_endpoints_are_whole_in_a_pipe(own: LocalTopology) -> None:
    """Whoever greps for an address finds it."""
    told = _flask_status(own, COLUMNS="80")
    for each in (*own.nodes, *own.sentinel_nodes):
        assert str(each.endpoint) in told
    assert "…" not in told


@pytest.mark.parametrize("columns", [40, 80])
def test_endpoints_are_whole_in_a_narrow_terminal(own: LocalTopology, columns: int) -> None:
    """On a real one (a pty), each on one line."""
    told = _in_terminal(own, columns)
    for each in (*own.nodes, *own.sentinel_nodes):
        assert any(str(each.endpoint) in line for line in told.splitlines())
    assert "…" not in told


def _flask_status(topology: LocalTopology, **more: str) -> str:
    command = [sys.executable, "-m", "flask", "sentinel", "status"]
    environment = {**os.environ, **topology.environment(), **more}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    ).stdout


def _in_terminal(topology: LocalTopology, columns: int) -> str:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, **topology.environment(), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    told = b""
    with subprocess.Popen(
        [sys.executable, "-m", "flask", "sentinel", "status"],
        env=environment,
        stdin=terminal,
        stdout=terminal,
    ) as process:
        os.close(terminal)
        with suppress(OSError):  # Linux says so when the other end is closed
            while chunk := os.read(controller, 4096):
                told += chunk
        assert process.wait(60) == 2  # short times have a warning
    os.close(controller)
    return told.decode()


def test_status_names_a_rogue_at_once(own: LocalTopology) -> None:
    """A master that somebody made a stranger's replica is critical, long before Sentinel heals it."""
    stranger = own.start_stranger()
    rogue = own.make_rogue(stranger.endpoint)
    told = _command(own, "status")
    assert told.exit_code == 1
    assert f"CRITICAL: {rogue.endpoint} is a replica of {stranger.endpoint}" in told.output
    assert f"Run REPLICAOF NO ONE on {rogue.endpoint} now" in told.output
    stranger.kill()


def test_status_by_the_app_names_the_rights_it_lacks(own: LocalTopology) -> None:
    """Without the operators' users the app's are taken: less is shown, and why is said."""
    told = _command(
        own,
        "status",
        VERIFIER_REDIS_OPS_USERNAME="",
        VERIFIER_REDIS_OPS_PASSWORD="",
        VERIFIER_SENTINEL_OPS_USERNAME="",
        VERIFIER_SENTINEL_OPS_PASSWORD="",
    )
    assert told.exit_code == 2
    for right in ("+sentinel|ckquorum", "+info"):
        assert right in told.output


def test_missing_sentinels_are_said_in_one_sentence(own: LocalTopology) -> None:
    """Without VERIFIER_SENTINELS the commands say which setting is missing, and nothing else."""
    for command in ("status", "switchover"):
        told = _command(own, command, VERIFIER_SENTINELS="")
        assert told.exit_code == 1
        assert told.output.startswith("Error: VERIFIER_SENTINELS: It is not set.")
        assert len(told.output.strip().splitlines()) == 1
