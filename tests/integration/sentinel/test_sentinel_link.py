"""The link on real Redis and Sentinel processes: it follows the master, and loses nothing on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Self

import pytest
from redis import Redis

from sentinel import AccessRefused, Endpoint, LocalNode, LocalTopology, MasterLink, TransientError, wait_for
from tests.support.fake_redis import FakeNode, FakeSentinel
from tests.support.links import subscribed_to
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.scripts import Acknowledgement, Step, load_script, run_steps
from verifier.wiring import access_of

END = load_script("end")
ACKNOWLEDGED_BY_ONE = Acknowledgement(1, 500)


@pytest.fixture
def disturbed(topology: LocalTopology, master: Redis) -> Iterator[LocalTopology]:
    """The shared topology, healed afterwards."""
    yield topology
    topology.heal()


@pytest.fixture
def link(settings: Settings, master: Redis) -> Iterator[MasterLink]:
    """A link with time enough for a failover on a machine that has a lot else to do."""
    made = MasterLink(access_of(settings.redis), deadline_s=FAILOVER_WITHIN_S)
    yield made
    made.close()


class Writer:
    """Writes numbers through a link, each acknowledged by a replica, until it is told to stop."""

    def __init__(self, link: MasterLink) -> None:
        self._link = link
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.written: list[int] = []
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert wait_for(lambda: len(self.written) > 5, FAILOVER_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(FAILOVER_WITHIN_S + 20)
        assert not self._thread.is_alive()

    def goes_on(self) -> bool:
        """Return whether more is written from now on."""
        before = len(self.written)
        return wait_for(lambda: len(self.written) > before + 5, FAILOVER_WITHIN_S)

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(0.01):
            try:
                self._link.run(partial(self._write_one, number=number))
            except Exception as error:  # noqa: BLE001 - the test looks at them
                self.errors.append(error)
            else:
                self.written.append(number)
            number += 1

    @staticmethod
    def _write_one(client: Redis, number: int) -> None:
        with client.pipeline(transaction=False) as pipeline:
            pipeline.set(f"verifier:number:{number}", "x", ex=60)
            pipeline.wait(1, 500)
            replicas = pipeline.execute()[1]
        if replicas < 1:
            raise TransientError("No replica has it.")

    def lost(self, client: Redis) -> list[int]:
        """Return which of the acknowledged numbers are not there."""
        return [number for number in self.written if not client.exists(f"verifier:number:{number}")]


def _kill(topology: LocalTopology) -> None:
    topology.current_master().kill()


def _hang(topology: LocalTopology) -> None:
    topology.current_master().pause()


@pytest.mark.chaos
@pytest.mark.parametrize("fault", [_kill, _hang, LocalTopology.failover])
def test_a_failover_is_followed_without_an_error_or_a_loss(
    fault: Callable[[LocalTopology], None], disturbed: LocalTopology, link: MasterLink
) -> None:
    """Killed, hung, or moved by a bare SENTINEL FAILOVER: whoever writes only waits."""
    assert link.run(lambda client: client.ping())
    assert wait_for(lambda: len(subscribed_to(link)) == 3, 60)
    old = disturbed.current_master()
    with Writer(link) as writer:
        fault(disturbed)
        assert wait_for(lambda: _moved(link, old), FAILOVER_WITHIN_S)
        assert writer.goes_on()
    assert writer.errors == []
    disturbed.heal()
    with disturbed.admin(disturbed.current_master()) as client:
        assert writer.lost(client) == []


@pytest.mark.chaos
def test_one_living_sentinel_is_enough(disturbed: LocalTopology, link: MasterLink) -> None:
    """A dead and a hung one cost no more than a moment."""
    dead, hung, _ = disturbed.sentinel_nodes
    dead.kill()
    hung.pause()
    started_at = time.monotonic()
    assert link.run(lambda client: client.ping())
    assert time.monotonic() - started_at < 20


@pytest.mark.chaos
def test_a_master_that_was_made_a_replica_is_left(disturbed: LocalTopology, link: MasterLink) -> None:
    """Whoever wrote to it gets a transient error, and goes on where it is a master again."""
    stranger = disturbed.start_stranger()
    assert link.run(lambda client: client.ping())
    rogue = disturbed.make_rogue(stranger.endpoint)
    with pytest.raises(TransientError):
        link.run(lambda client: client.set("verifier:x", "y", ex=60), deadline_s=0.5)
    with disturbed.admin(rogue) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert link.run(lambda client: client.set("verifier:x", "y", ex=60))
    stranger.kill()


def test_a_right_that_is_missing_is_told_with_the_remedy(link: MasterLink) -> None:
    """The app's user may not look at all keys, and the connection is usable afterwards."""
    with pytest.raises(AccessRefused, match="ACL file"):
        link.run(lambda client: client.keys("*"))
    assert link.run(lambda client: client.ping())


@pytest.mark.parametrize("key", ["foreign:x", "verifier"])
def test_a_key_of_others_is_refused_in_scripts_too(link: MasterLink, key: str) -> None:
    """Whatever a script would do there."""
    step = Step(END, [key, keyspace.DUE], ["canceled", "r", "x"])
    with pytest.raises(AccessRefused):
        link.run(lambda client: run_steps(client, [step], ACKNOWLEDGED_BY_ONE))
    assert link.run(lambda client: client.get("verifier:nothing")) is None


@pytest.mark.chaos
def test_an_old_master_that_comes_back_gets_no_writes(disturbed: LocalTopology, link: MasterLink) -> None:
    """A killed master is a writable one again for some seconds before Sentinel demotes it."""
    old = disturbed.current_master()
    assert link.run(lambda client: client.ping())
    old.kill()
    assert wait_for(lambda: _moved(link, old), FAILOVER_WITHIN_S)
    old.restart()
    until = time.monotonic() + 1.5
    numbers = 0
    while time.monotonic() < until or numbers <= 10:
        link.run(lambda client: client.set("verifier:new", "x", ex=60))
        numbers += 1
    with disturbed.admin(disturbed.current_master()) as client:
        assert client.exists("verifier:new")
    assert link.directory.master() == disturbed.current_master().endpoint != old.endpoint


def test_one_rogue_sentinel_of_three_leads_nobody_to_a_stranger(
    topology: LocalTopology, settings: Settings, master: Redis
) -> None:
    """It names a stranger, announces it and lists helpers: the stranger gets no connection, the helpers no password."""
    access = access_of(settings.redis)
    real = topology.current_master().endpoint
    with (
        FakeNode() as stranger,
        FakeSentinel(stranger.endpoint, name=topology.master_name, epoch=999) as rogue,
    ):
        with FakeSentinel(stranger.endpoint, name=topology.master_name) as helper:
            rogue.peers = [helper.endpoint, *topology.sentinels]
            sentinels = (rogue.endpoint, *topology.sentinels[:2])
            link = MasterLink(replace(access, sentinels=sentinels), deadline_s=30)
            try:
                _write_while_lied_to(link, rogue, real, stranger.endpoint)
                assert set(link.directory.sentinels()) == {rogue.endpoint, *topology.sentinels}
            finally:
                link.close()
        assert (stranger.connections, helper.connections) == (0, 0)


def _write_while_lied_to(link: MasterLink, rogue: FakeSentinel, real: Endpoint, stranger: Endpoint) -> None:
    assert link.run(lambda client: client.ping())
    assert wait_for(lambda: len(subscribed_to(link)) == 4, 60)
    for _ in range(30):
        rogue.publish(
            "+switch-master", f"{rogue.name} {real.host} {real.port} {stranger.host} {stranger.port}"
        )
        link.redis.connection_pool.disconnect()
        link.directory.invalidate(real)
        assert link.run(lambda client: client.set("verifier:x", "y", ex=60))
        time.sleep(0.05)


def _moved(link: MasterLink, old: LocalNode) -> bool:
    try:
        return link.directory.master() != old.endpoint
    except TransientError:
        return False
