"""Data nodes that return without their data, or with data that cannot be read: no copy may be wiped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentinel import Endpoint, LocalNode, LocalStartError, LocalTopology, TopologyError, wait_for
from tests.support.topologies import FAILOVER_WITHIN_S

pytestmark = pytest.mark.chaos

KEYS = 21


@pytest.fixture
def filled(topology: LocalTopology) -> Iterator[LocalTopology]:
    """The shared topology with 21 keys that every node has; healed afterwards."""
    topology.heal()
    with topology.admin(topology.current_master()) as client:
        client.flushall()
        for number in range(KEYS):
            client.set(f"verifier:{number}", "owed")
        assert client.execute_command("WAIT", 2, 20000) == 2
    wait_for(lambda: all(_written(node) for node in topology.nodes), 30)
    yield topology
    topology.heal()


def _written(node: LocalNode) -> bool:
    return any(f"verifier:{KEYS - 1}" in file.read_text(errors="replace") for file in _aof_files(node))


def _aof_files(node: LocalNode) -> list[Path]:
    """The files with commands, in Redis 7's directory or the one of older versions."""
    several = sorted(node.directory.glob("appendonlydir/*.incr.aof"))
    return several or [node.directory / "appendonly.aof"]


def _keys_of(topology: LocalTopology) -> list[int]:
    sizes = []
    for node in topology.nodes:
        with topology.admin(node) as client:
            sizes.append(client.dbsize())
    return sizes


def _says(node: LocalNode, sentence: str) -> bool:
    """Return whether its log comes to hold that within a minute."""
    return wait_for(lambda: sentence in node.log.read_text(errors="replace"), 60)


def _start_with_a_new_log(node: LocalNode, *, wait: bool = False) -> None:
    node.log.write_text("")
    node.restart(wait=wait)


def _follows(topology: LocalTopology, node: LocalNode, master: Endpoint) -> bool:
    """Return whether it is a replica of that master, connected and in sync."""
    with topology.admin(node) as client:
        role, *link = client.execute_command("ROLE")
    return role == "slave" and link[:3] == [master.host, master.port, "connected"]


def _wait_for_another_master(topology: LocalTopology, old: LocalNode) -> LocalNode:
    found = [old]

    def moved() -> bool:
        try:
            found[0] = topology.current_master()
        except TopologyError:
            return False
        return found[0] is not old

    assert wait_for(moved, FAILOVER_WITHIN_S, interval_s=0.1)
    return found[0]


def _listens(node: LocalNode) -> bool:
    try:
        node.wait_until_listening()
    except LocalStartError:
        return False
    return True


def test_master_without_its_disk_stays_away_until_it_can_follow(filled: LocalTopology) -> None:
    """Restarted within down-after, while every sentinel still names it, it does not wipe the others."""
    old = filled.current_master()
    old.lose_disk()
    _start_with_a_new_log(old)
    assert _says(old, "This node has no data in")
    assert _says(old, "the sentinels still name this very node as the master")
    new = _wait_for_another_master(filled, old)
    assert _listens(old)
    assert wait_for(lambda: _follows(filled, old, new.endpoint), 60)
    # On a busy machine a second failover may come by now; whoever is the master then, nothing is lost.
    filled.heal()
    assert _keys_of(filled) == [KEYS] * 3


def test_master_without_its_disk_follows_after_a_failover(filled: LocalTopology) -> None:
    """Restarted when another master is named, it joins that one at once."""
    old = filled.current_master()
    old.lose_disk()
    new = _wait_for_another_master(filled, old)
    assert wait_for(lambda: set(filled.snapshot().named_masters) == {new.endpoint}, 60, interval_s=0.1)
    _start_with_a_new_log(old, wait=True)
    assert wait_for(lambda: _follows(filled, old, new.endpoint), 60)
    assert _keys_of(filled) == [KEYS] * 3


def test_replica_without_its_disk_follows_todays_master(filled: LocalTopology) -> None:
    """It asks the sentinels, whatever its settings call the first master."""
    while filled.current_master() is filled.nodes[0]:
        old = filled.current_master()
        filled.failover()
        _wait_for_another_master(filled, old)
        filled.heal()
    master = filled.current_master()
    (replica,) = [node for node in filled.nodes[1:] if node is not master]
    replica.lose_disk()
    _start_with_a_new_log(replica, wait=True)
    assert _says(replica, f"it joins {master.endpoint.host} {master.endpoint.port} as its replica")
    assert wait_for(lambda: _follows(filled, replica, master.endpoint), 60)
    assert _keys_of(filled) == [KEYS] * 3


def _spoil_middle(node: LocalNode) -> None:
    """Overwrite more than one value in the middle of each file."""
    for file in _aof_files(node):
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 64] = b"\0" * 64
        file.write_bytes(content)


def _spoil_length(node: LocalNode) -> None:
    """Make a value's length reach beyond the end: Redis takes that for a cut-off end, and drops all behind it."""
    file = _aof_files(node)[-1]
    before, found, after = file.read_bytes().rpartition(f"verifier:{KEYS // 2}\r\n$4".encode())
    assert found
    file.write_bytes(before + found[:-1] + b"999999" + after)


def _spoil_manifest(node: LocalNode) -> None:
    manifest = node.directory / "appendonlydir" / "appendonly.aof.manifest"
    if not manifest.exists():
        pytest.skip("Redis before 7 has no manifest.")
    manifest.write_text(manifest.read_text()[:20])


def _lose_manifest(node: LocalNode) -> None:
    """Without it Redis 7 takes all the other files for nothing, and would start empty."""
    manifest = node.directory / "appendonlydir" / "appendonly.aof.manifest"
    if not manifest.exists():
        pytest.skip("Redis before 7 has no manifest.")
    manifest.unlink()


@pytest.mark.parametrize("spoil", [_spoil_middle, _spoil_length, _spoil_manifest, _lose_manifest])
def test_master_that_cannot_read_its_data_keeps_the_files_and_follows(
    filled: LocalTopology, spoil: Callable[[LocalNode], None]
) -> None:
    """Unreadable files are kept under another name, and the node is filled by the master that replaced it."""
    old = filled.current_master()
    old.kill()
    spoil(old)
    kept_before = set(old.directory.glob("*.unreadable-*"))
    before = {file.name: file.read_bytes() for file in _aof_files(old)}
    _start_with_a_new_log(old)
    assert _says(old, "the sentinels still name this very node as the master")
    new = _wait_for_another_master(filled, old)
    assert _listens(old)
    assert wait_for(lambda: _follows(filled, old, new.endpoint), 60)
    (kept,) = set(old.directory.glob("*.unreadable-*")) - kept_before
    assert _says(old, f"cannot be loaded: it is kept as {kept}")
    assert all(
        ((kept / name) if kept.is_dir() else kept).read_bytes() == text for name, text in before.items()
    )
    filled.heal()
    assert _keys_of(filled) == [KEYS] * 3


def test_cut_off_end_is_no_reason_to_stay_away(filled: LocalTopology) -> None:
    """The usual trace of a power failure is left to Redis, which mends it; nobody else is needed for that."""
    for sentinel in filled.sentinel_nodes:
        sentinel.kill()
    for node in filled.nodes:
        node.kill()
        last = _aof_files(node)[-1]
        if last.stat().st_size:
            last.write_bytes(last.read_bytes()[:-3])
        _start_with_a_new_log(node, wait=True)
        assert "cannot read its data" not in node.log.read_text()


def test_without_sentinels_a_node_without_data_waits_and_says_so(filled: LocalTopology) -> None:
    """It says why, once rather than each second, what to do, and ends at once on SIGTERM."""
    master = filled.current_master()
    for sentinel in filled.sentinel_nodes:
        sentinel.kill()
    master.lose_disk()
    _start_with_a_new_log(master)
    addresses = ",".join(map(str, filled.sentinels))
    sentence = f"and no sentinel of REDIS_SENTINELS ({addresses}) names a master"
    assert _says(master, sentence)
    time.sleep(2.5)
    log = master.log.read_text()
    assert log.count(sentence) == 1
    assert "first-master" in log or "must run before it" in log
    asked = time.monotonic()
    master.shutdown_gracefully()
    assert time.monotonic() - asked < 5
    master.restart(wait=False)
    filled.heal()
    # Whoever is the master in the end: had the empty node been one at any time, nobody would have a key.
    assert _keys_of(filled) == [KEYS] * 3


def test_order_is_refused_while_others_may_have_data(filled: LocalTopology) -> None:
    """Nobody becomes the first master beside another one, or in place of one that has replicas."""
    master, replica = filled.current_master(), filled.replicas()[0]
    with pytest.raises(LocalStartError, match=r"has data in .*: start it without an order"):
        replica.order_first_master()
    replica.lose_disk()
    with pytest.raises(LocalStartError, match="as the master, and it is one: start this node"):
        replica.order_first_master()
    master.lose_disk()
    with pytest.raises(LocalStartError, match=r"The sentinels know replicas of .*: start those"):
        master.order_first_master()
    # With --force it is taken, for the day on which truly nobody has data; it is lost again with the disk.
    ordered = subprocess.run(
        ["/bin/sh", str(master._script), "first-master", "--force"],
        env=master._environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "starts as the first master, without data" in ordered.stdout + ordered.stderr
    master.lose_disk()


def test_order_counts_once_and_is_heard_while_the_node_waits(topology: LocalTopology) -> None:
    """A first master is ordered, not assumed; when its disk is lost the order is lost, too."""
    alone = topology.start_stranger()
    assert alone.running
    alone.lose_disk()
    _start_with_a_new_log(alone)
    assert _says(alone, "Only when the whole deployment is new, order that this node be its first master: ")
    alone.order_first_master()
    alone.wait_until_listening()
    alone.kill()
    _start_with_a_new_log(alone, wait=True)
    alone.lose_disk()
    _start_with_a_new_log(alone)
    assert _says(alone, "This node has no data in")
    alone.kill()
