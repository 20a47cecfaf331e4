"""What operators do to a running deployment, on an embedded one under load: nodes and sentinels come and go."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from redis import RedisError

from sentinel import LocalNode, LocalTopology, Login, switch_over, wait_for
from sentinel.local.credentials import Credentials
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.drill import counting
from verifier.drill.outcome import Counts, Moments
from verifier.drill.rig.open_load import CLIENT_TIMEOUT_S, OpenLoad
from verifier.drill.rig.systems import SystemUnderTest, verifier
from verifier.drill.rig.testbed import DrillTestbed

RATE = 20.0
SETTLED_WITHIN_S = 60
DATA = ("appendonlydir", "appendonly.aof")
"""Where Redis 7 and Redis 6.2 keep their data."""


class MendingTestbed(DrillTestbed):
    """A service whose passwords are in files, as a deployment's are, on a topology that may run any Redis."""

    def __init__(self, server: Path | None = None, system: SystemUnderTest | None = None) -> None:
        """Plan it; `server` is the redis-server that it begins with."""
        super().__init__(system or verifier(), workers=1, down_after_ms=None)
        if server is not None:
            self.topology = LocalTopology(replace(self.topology.options, redis_server=server))

    @property
    def secrets(self) -> Path:
        """The directory with a file for each password."""
        return self.topology.directory / "secrets"

    def environment(self, system: SystemUnderTest, smtp_port: int) -> dict[str, str]:
        """Return the environment of the processes, with the files' paths in place of passwords."""
        environment = super().environment(system, smtp_port)
        for server in ("REDIS", "SENTINEL"):
            for user in ("", "_OPS"):
                del environment[f"VERIFIER_{server}{user}_PASSWORD"]
                name = f"{server}{user or '_APP'}_password".lower()
                environment[f"VERIFIER_{server}{user}_PASSWORD_FILE"] = str(self.secrets / name)
        return environment

    def read_passwords(self) -> None:
        """Log in as the files say from now on."""
        self.topology.credentials = Credentials(
            **{
                one.name: Login(
                    one.name.partition("_")[2],
                    (self.secrets / f"{one.name}_password").read_text().splitlines()[0],
                )
                for one in fields(Credentials)
            }
        )


@contextmanager
def under_load(testbed: MendingTestbed) -> Iterator[list[Counts]]:
    """Have people submit addresses all the while; what became of them is in the list at the end."""
    began = time.monotonic()
    first_mail = len(testbed.mail_sink.mails)
    load = OpenLoad(testbed.service.port, f"mending-{first_mail}", RATE)
    running = asyncio.run_coroutine_threadsafe(load.run(), testbed.loop)
    found: list[Counts] = []
    try:
        yield found
    finally:
        load.stop()
    running.result(CLIENT_TIMEOUT_S + 5)
    wait_for(
        lambda: counting.missing(load.submissions, testbed.mail_sink.mails[first_mail:]) == 0,
        SETTLED_WITHIN_S,
    )
    moments = Moments(began, began, (), began, time.monotonic())
    found.append(counting.count(load.submissions, testbed.mail_sink.mails[first_mail:], moments))


def submit(testbed: MendingTestbed, number: int) -> list[str]:
    """Submit so many addresses, which must all be accepted; return them."""
    load = OpenLoad(testbed.service.port, f"owed-{testbed.service.port}", 100.0, at_most=number)
    asyncio.run_coroutine_threadsafe(load.run(), testbed.loop).result(CLIENT_TIMEOUT_S + 5)
    assert all(each.accepted for each in load.submissions)
    return [each.recipient for each in load.submissions]


def wait_until_whole(topology: LocalTopology) -> None:
    """Wait until everybody follows one master and could fail over."""
    assert wait_for(topology.is_healthy, FAILOVER_WITHIN_S, interval_s=0.2), topology.snapshot()


def move_master(topology: LocalTopology) -> None:
    """Move the master as `flask sentinel switchover` does."""
    switch_over(topology.operators_access())
    wait_until_whole(topology)


def restart(topology: LocalTopology, node: LocalNode) -> None:
    """End a data node or sentinel as a service manager does, start it again, and wait until all is whole."""
    node.shutdown_gracefully()
    node.restart()
    wait_until_whole(topology)


def restart_data_nodes(topology: LocalTopology) -> None:
    """Restart the replicas, one after the other; then the master, once another one took over."""
    for replica in topology.replicas():
        restart(topology, replica)
    old = topology.current_master()
    move_master(topology)
    restart(topology, old)


def add_node(topology: LocalTopology) -> LocalNode:
    """Start one more data node, without data: it asks the sentinels whom to follow."""
    planner, spawner = topology._plan(), topology._spawner
    assert spawner is not None
    asked = {
        "REDIS_SENTINELS": ",".join(map(str, topology.sentinels)),
        "SENTINEL_MASTER_NAME": topology.master_name,
    }
    node = planner._node(
        f"redis-{len(list(planner.directory.glob('redis-*'))) + 1}", planner._reserve(), asked
    )
    node.spawn(spawner)
    node.wait_until_listening()
    topology.nodes = (*topology.nodes, node)
    return node


def remove_node(topology: LocalTopology, node: LocalNode) -> None:
    """Take a data node away for good: it ends, and each sentinel forgets it."""
    node.shutdown_gracefully()
    topology.nodes = tuple(each for each in topology.nodes if each is not node)
    reset_sentinels(topology)


def add_sentinel(topology: LocalTopology) -> LocalNode:
    """Start one more sentinel that knows nothing but today's master; it finds the others by itself."""
    planner, spawner = topology._plan(), topology._spawner
    assert spawner is not None
    host, port = topology.current_master().endpoint
    watched = {
        "SENTINEL_MASTER_NAME": topology.master_name,
        "SENTINEL_MASTER": f"{host} {port}",
        "SENTINEL_QUORUM": str(topology.options.quorum),
    } | topology.options.times()
    name = f"sentinel-{len(list(planner.directory.glob('sentinel-*'))) + 1}"
    sentinel = planner._server(name, planner._reserve(), "start-sentinel.sh", watched)
    sentinel.spawn(spawner)
    sentinel.wait_until_listening()
    topology.sentinel_nodes = (*topology.sentinel_nodes, sentinel)
    return sentinel


def reset_sentinels(topology: LocalTopology) -> None:
    """Have each sentinel forget who is gone, one after the other: the next once this one knows everybody again."""
    for sentinel in topology.sentinel_nodes:
        # On a busy machine a node may look down for a moment, and is learnt in between: then once more, as people do.
        assert any(_is_reset(topology, sentinel) for _ in range(3)), topology.snapshot()


def _is_reset(topology: LocalTopology, sentinel: LocalNode) -> bool:
    """Reset one sentinel while all is calm; return whether it comes to know everybody that is left."""
    assert wait_for(lambda: _is_calm(topology), FAILOVER_WITHIN_S, interval_s=0.2)
    with topology.admin(sentinel) as client:
        client.execute_command("SENTINEL", "RESET", topology.master_name)
    return wait_for(lambda: _knows_all(topology, sentinel), 40, interval_s=0.2)


def _is_calm(topology: LocalTopology) -> bool:
    """Return whether all sentinels there are name one master and take it for healthy; the lost one is still known."""
    heard = [each for each in topology.snapshot().sentinels if each.answers]
    return (
        len(heard) == len(topology.sentinel_nodes)
        and len({each.master for each in heard}) == 1
        and all(each.flags == {"master"} for each in heard)
    )


def _knows_all(topology: LocalTopology, sentinel: LocalNode) -> bool:
    """Return whether it knows as many sentinels and replicas as there are."""
    try:
        with topology.admin(sentinel) as client:
            reply = client.execute_command("SENTINEL", "MASTER", topology.master_name)
    except RedisError:
        return False
    known = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return (
        int(known["num-other-sentinels"]) == len(topology.sentinel_nodes) - 1
        and int(known["num-slaves"]) == len(topology.nodes) - 1
    )


def back_up(topology: LocalTopology, node: LocalNode, directory: Path) -> None:
    """Have a replica make its files small, copy them once it ended in order, and start it again."""
    with topology.admin(node) as client:
        client.execute_command("BGREWRITEAOF")
        assert wait_for(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, 30)
    node.shutdown_gracefully()
    directory.mkdir()
    for name in DATA:
        source = node.directory / name
        if source.is_dir():
            shutil.copytree(source, directory / name)
        elif source.exists():
            shutil.copy(source, directory / name)
    node.restart()


def restore(topology: LocalTopology, directory: Path) -> None:
    """Begin a deployment anew from a copy: the first node has the data, the others join it."""
    for process in topology.processes:
        process.lose_disk()
    first = topology.nodes[0]
    for source in directory.iterdir():
        if source.is_dir():
            shutil.copytree(source, first.directory / source.name)
        else:
            shutil.copy(source, first.directory / source.name)
    first.restart()
    for process in (*topology.sentinel_nodes, *topology.nodes[1:]):
        process.restart(wait=False)
    wait_until_whole(topology)
