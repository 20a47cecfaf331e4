"""`flask sentinel doctor` on real processes: each thing is broken really, found, named, and mended again."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from redis import Redis
from redis.exceptions import NoPermissionError

from sentinel import LocalNode, LocalOptions, LocalTopology, wait_for
from sentinel.local.binary import find_redis_server
from sentinel.local.running_topology import connect
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.cli.sentinel import sentinel_group

pytestmark = pytest.mark.chaos

SCHEMA = json.loads(Path("docs/doctor.schema.json").read_text(encoding="utf-8"))
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def own() -> Iterator[LocalTopology]:
    """A topology for this module alone, with the shipped times: shorter ones have findings of their own."""
    with LocalTopology(LocalOptions(superuser=True)) as topology:
        assert wait_for(lambda: _codes(topology) == set(), FAILOVER_WITHIN_S), _run(topology).output
        yield topology


def _run(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        sentinel_group, ["doctor", *arguments], env={**topology.environment(), **environment}
    )


def _told(topology: LocalTopology, **environment: str) -> Any:
    """Return the JSON, which keeps to the schema."""
    told = json.loads(_run(topology, "--json", **environment).output)
    jsonschema.validate(told, SCHEMA, jsonschema.Draft202012Validator)
    return told


def _codes(topology: LocalTopology, **environment: str) -> set[str]:
    return {each["code"] for each in _told(topology, **environment)["findings"]}


def _admins(topology: LocalTopology, nodes: list[LocalNode]) -> AbstractContextManager[list[Redis]]:
    @contextmanager
    def opened() -> Iterator[list[Redis]]:
        with ExitStack() as stack:
            yield [stack.enter_context(topology.admin(node)) for node in nodes]

    return opened()


@contextmanager
def _configured(topology: LocalTopology, name: str, value: str, nodes: list[LocalNode]) -> Iterator[None]:
    with _admins(topology, nodes) as clients:
        before = [client.config_get(name)[name] for client in clients]
        try:
            for client in clients:
                client.config_set(name, value)
            yield
        finally:
            for client, old in zip(clients, before, strict=True):
                client.config_set(name, old)


@contextmanager
def _ordered(topology: LocalTopology, nodes: list[LocalNode], order: str, undo: str) -> Iterator[None]:
    with _admins(topology, nodes) as clients:
        try:
            for client in clients:
                client.execute_command(*order.split())
            yield
        finally:
            for client in clients:
                client.execute_command(*undo.split())


def test_a_healthy_topology(own: LocalTopology) -> None:
    """Exit code 0; what it could not see is said by name."""
    shown = _run(own)
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith(
        f"{own.master_name}: OK  master {own.current_master().endpoint}; 3 nodes, 3 sentinels"
    )
    assert "Nothing is wrong, as far as could be seen." in shown.output
    told = _told(own)
    assert (told["verdict"], told["users"], told["tls"]) == ("ok", True, False)
    unseen = " ".join(told["unseen"])
    for words in ("+config|get", "min-replicas-to-write", "vm.overcommit_memory", "SENTINEL_QUORUM"):
        assert words in unseen


@pytest.mark.parametrize(
    ("name", "value", "code", "severity"),
    [
        ("maxmemory", "0", "no-memory-limit", "warning"),
        ("maxmemory", str(1024 * 1024 * MIB), "memory-of-machine", "warning"),
        ("maxmemory", str(30 * MIB), "backlog-against-limit", "warning"),
        ("repl-backlog-size", str(MIB), "small-backlog", "warning"),
        ("min-replicas-to-write", "0", "setting", "warning"),
        ("maxmemory-policy", "allkeys-lru", "setting", "warning"),
    ],
)
def test_settings_of_a_node(own: LocalTopology, name: str, value: str, code: str, severity: str) -> None:
    """Each on the master alone: it is named, with why it matters and what to do."""
    master = own.current_master()
    with _configured(own, name, value, [master]):
        told = _told(own, VERIFIER_REPLICAS_TO_ACKNOWLEDGE="1")
        assert [(each["code"], each["severity"]) for each in told["findings"]] == [(code, severity)]
        [found] = told["findings"]
        assert str(master.endpoint) in found["message"]
        assert found["why"]
        assert found["remedy"]
        assert _run(own).exit_code == 2
    assert _codes(own) == set()


def test_a_master_with_an_empty_disk(own: LocalTopology) -> None:
    """It keeps nothing: critical, since a restart would empty all copies."""
    master = own.current_master()
    with _configured(own, "appendonly", "no", [master]):
        shown = _run(own)
        assert shown.exit_code == 1
        assert f"CRITICAL: {master.endpoint} may be the master and keeps nothing on its disk" in shown.output
        assert f"fix  Run CONFIG SET appendonly yes on {master.endpoint}" in shown.output
    assert _codes(own) == set()


def test_a_memory_that_is_nearly_full(own: LocalTopology) -> None:
    """Before submissions are refused."""
    replica = own.replicas()[0]
    with own.admin(replica) as client:
        memory = client.info("memory")
    used = memory["used_memory"] - memory["mem_not_counted_for_evict"]
    with _configured(own, "maxmemory", str(int(used / 0.9)), [replica]):
        assert "memory-nearly-full" in _codes(own)


def test_priorities(own: LocalTopology) -> None:
    """Different ones, and none that may be promoted."""
    with _configured(own, "replica-priority", "50", [own.replicas()[0]]):
        assert "unequal-priorities" in _codes(own)
    with _configured(own, "replica-priority", "0", list(own.replicas())):
        assert "no-candidate" in _codes(own)


@pytest.mark.parametrize(
    ("user", "rule", "code", "words"),
    [
        ("sentinel", "-client|kill", "right-lost", "may not CLIENT KILL"),
        ("sentinel", "-config|rewrite", "right-lost", "may not CONFIG REWRITE"),
        ("replica", "-psync", "right-lost", "may not PSYNC"),
        ("app", "+replicaof", "right-too-many", "may REPLICAOF"),
        ("app", "&__sentinel__:hello", "right-too-many", "may PUBLISH"),
    ],
)
def test_rights_on_a_node(own: LocalTopology, user: str, rule: str, code: str, words: str) -> None:
    """CKQUORUM says OK in each of these; tried without leaving a trace in ACL LOG."""
    _skip_where_rights_cannot_be_tried(own)
    master = own.current_master()
    with _ordered(own, [master], f"ACL SETUSER {user} {rule}", "ACL LOAD"):
        told = _told(own)
        assert [each["code"] for each in told["findings"]] == [code]
        assert words in told["findings"][0]["message"]
        assert str(master.endpoint) in told["findings"][0]["message"]
        with own.admin(master) as client:
            assert client.acl_log() == []


def _skip_where_rights_cannot_be_tried(topology: LocalTopology) -> None:
    if any("+acl|dryrun" in each for each in _told(topology)["unseen"]):
        pytest.skip("Redis 6.2 can't try rights, and the doctor says so")


def test_rights_on_a_sentinel(own: LocalTopology) -> None:
    """A sentinel whose file gives its users other rights; started by hand, since ours writes the users anew."""
    _skip_where_rights_cannot_be_tried(own)
    sentinel = own.sentinel_nodes[0]
    file = sentinel.directory / "sentinel.conf"
    sentinel.kill()
    given = file.read_text().replace("+sentinel|is-master-down-by-addr", "")
    file.write_text(
        given.replace("+sentinel|get-master-addr-by-name", "+sentinel|get-master-addr-by-name +sentinel|set")
    )
    server = find_redis_server(os.environ)
    with subprocess.Popen([server, str(file), "--sentinel"], stdout=subprocess.DEVNULL) as by_hand:
        try:
            assert wait_for(lambda: _knows_all(own), FAILOVER_WITHIN_S)
            told = _told(own)
            words = [each["message"] for each in told["findings"] if each["code"].startswith("right-")]
            assert any("'peer' may not SENTINEL IS-MASTER-DOWN-BY-ADDR" in each for each in words), told
            assert any("'app' may SENTINEL SET" in each for each in words), told
        finally:
            by_hand.kill()
    sentinel.restart()
    own.heal()
    assert wait_for(lambda: _codes(own) == set(), FAILOVER_WITHIN_S), _run(own).output


def _knows_all(topology: LocalTopology) -> bool:
    return "sentinel-silent" not in _codes(topology)


@pytest.mark.parametrize(
    ("name", "value", "back", "code"),
    [
        ("quorum", "1", "2", "quorum-no-majority"),
        ("quorum", "4", "2", "quorum-out-of-reach"),
        ("failover-timeout", "120000", "5000", "long-failover-timeout"),
        ("failover-timeout", "2000", "5000", "failover-timeout"),
        ("down-after-milliseconds", "2000", "4000", "down-after"),
    ],
)
def test_settings_of_the_sentinels(own: LocalTopology, name: str, value: str, back: str, code: str) -> None:
    """Set alike on all of them."""
    order = f"SENTINEL SET {own.master_name} {name}"
    with _ordered(own, list(own.sentinel_nodes), f"{order} {value}", f"{order} {back}"):
        assert code in _codes(own)
    assert _codes(own) == set()


def test_the_quorum_on_file_and_a_deadline_that_is_too_short(own: LocalTopology) -> None:
    """What the environment says, against what runs."""
    assert _codes(own, SENTINEL_QUORUM="2") == set()
    assert _codes(own, SENTINEL_QUORUM="3") == {"quorum-on-file"}
    assert _codes(own, VERIFIER_REQUEST_DEADLINE="3") == {"time-budget"}


def test_somebody_was_refused(own: LocalTopology) -> None:
    """ACL LOG tells whom and what."""
    master = own.current_master()
    assert own.credentials is not None
    with connect(master.endpoint, own.credentials.redis_app) as client, pytest.raises(NoPermissionError):
        client.config_get("maxmemory")
    try:
        [found] = _told(own)["findings"]
        assert found["code"] == "denials"
        assert "the user 'app' (command: config|get)" in found["message"].replace("config)", "config|get)")
    finally:
        with own.admin(master) as admin:
            admin.acl_log_reset()


def test_nobody_needs_a_name(own: LocalTopology) -> None:
    """A plain node is named as what it is."""
    with _ordered(
        own,
        [own.current_master()],
        "ACL SETUSER default on nopass +ping",
        "ACL SETUSER default off -ping resetpass",
    ):
        told = _told(own)
        assert told["users"] is False
        assert [each["code"] for each in told["findings"]] == ["open"]
        assert "NO users: a plain deployment" in _run(own).output


def test_a_sentinel_that_left(own: LocalTopology) -> None:
    """It is counted, gives no answer, and the settings do not name it; forgotten, there are two, which are too few."""
    gone, *rest = own.sentinel_nodes
    settings = {"VERIFIER_SENTINELS": ",".join(str(each.endpoint) for each in rest)}
    gone.kill()
    try:
        assert wait_for(lambda: "stale-sentinels" in _codes(own, **settings), FAILOVER_WITHIN_S)
        with _admins(own, rest) as clients:
            for client in clients:
                client.execute_command("SENTINEL", "RESET", own.master_name)
        assert wait_for(lambda: "few-sentinels" in _codes(own, **settings), FAILOVER_WITHIN_S)
        assert "stale-sentinels" not in _codes(own, **settings)
    finally:
        own.heal()


def test_what_refuses_to_tell_is_named(own: LocalTopology) -> None:
    """With the app's rights less is seen, and each right that is missing is said."""
    assert own.credentials is not None
    as_app = {
        "VERIFIER_REDIS_OPS_USERNAME": "",
        "VERIFIER_REDIS_OPS_PASSWORD": "",
        "VERIFIER_SENTINEL_OPS_USERNAME": "",
        "VERIFIER_SENTINEL_OPS_PASSWORD": "",
    }
    unseen = " ".join(_told(own, **as_app)["unseen"])
    assert "+acl|dryrun" in unseen
    assert "`ACL LOG`" in unseen
