"""`flask sentinel status`: its JSON keeps to its schema in every state, its exit code tells, and it can watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from sentinel import LocalOptions, LocalTopology, wait_for
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.topologies import FAILOVER_WITHIN_S
from tests.support.workers import RunningWorker
from verifier.cli.sentinel import sentinel_group
from verifier.settings import Settings

SCHEMA = json.loads(Path("docs/status.schema.json").read_text(encoding="utf-8"))
# The oldest Redis and a short down-after have warnings of their own; these are the times that are shipped.
SHIPPED = LocalOptions(superuser=True)


@pytest.fixture(scope="module")
def own() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(SHIPPED) as running:
        yield running


@pytest.fixture
def healthy(own: LocalTopology) -> Iterator[LocalTopology]:
    """Healed before and after."""
    own.heal()
    assert wait_for(lambda: _run(own).exit_code == 0, FAILOVER_WITHIN_S, interval_s=0.2), _run(own).output
    yield own
    own.heal()


def _run(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        sentinel_group, ["status", *arguments], env={**topology.environment(), **environment}
    )


def _told(topology: LocalTopology, **environment: str) -> Any:
    """Return the JSON, which keeps to the schema."""
    told = json.loads(_run(topology, "--json", **environment).output)
    jsonschema.validate(told, SCHEMA, jsonschema.Draft202012Validator)
    return told


def test_the_schema_is_one() -> None:
    """It allows nothing that it does not name."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["additionalProperties"] is False


def test_a_healthy_topology(healthy: LocalTopology) -> None:
    """Exit code 0, and for each node its role by its own word and by each sentinel's."""
    assert _run(healthy).exit_code == 0
    told = _told(healthy)
    assert told["verdict"] == "ok"
    assert told["master_for_s"] > 0
    by_role = {node["role"]: node for node in told["nodes"]}
    assert set(by_role["master"]["seen_as"].values()) == {"master"}
    assert set(by_role["replica"]["seen_as"].values()) == {"replica"}
    assert by_role["replica"]["lag_s"] in {0, 1, 2, 3}
    assert by_role["master"]["vitals"]["memory_limit"] == 128 * 1024 * 1024
    assert all(len(sentinel["peers"]) == 2 for sentinel in told["sentinels"])


def test_the_header_and_the_tables(healthy: LocalTopology) -> None:
    """Who is the master and for how long, and of each node what an operator asks first."""
    told = _run(healthy).output
    master = healthy.current_master().endpoint
    first, *_ = told.splitlines()
    assert first.startswith(f"verifier: OK  master {master}, for ")
    assert "configuration epoch" in first
    for words in (
        "Sentinels see",
        "3 master",
        "3 replica",
        " of 128 MiB",
        "0 B, ",
        "Reaches peers",
        "2 of 2",
    ):
        assert words in told
    assert "Service: 0 mails owed; 0 sent in the last minute" in told


def test_a_warning_exits_with_2(healthy: LocalTopology) -> None:
    """One sentinel of three is away: all works, and it should be looked after."""
    healthy.sentinel_nodes[0].kill()
    told = _run(healthy)
    assert told.exit_code == 2
    assert told.output.startswith("verifier: WARNING")
    assert _told(healthy)["verdict"] == "warning"


def test_something_critical_exits_with_1(healthy: LocalTopology) -> None:
    """The master is killed; nobody is waited for in vain, and the schema is kept."""
    healthy.current_master().kill()
    told = _told(healthy)
    assert told["verdict"] == "critical"
    assert _run(healthy).exit_code in {1, 2}  # 2, should a replica have taken over by now
    assert (told["service"] is None) == (told["service_unknown"] is not None)


@pytest.mark.parametrize(
    "environment",
    [
        {"VERIFIER_SENTINEL_MASTER": "mymaster"},
        {"VERIFIER_SENTINEL_OPS_PASSWORD": "wrong"},
        {"VERIFIER_SENTINELS": "127.0.0.1:1"},
    ],
)
def test_without_a_master_the_schema_is_kept(healthy: LocalTopology, environment: dict[str, str]) -> None:
    """Nothing is left out; what is not known is null."""
    told = _told(healthy, **environment)
    assert (told["verdict"], told["master"], told["write"], told["service"]) == ("critical", None, None, None)
    assert "no master to ask" in told["service_unknown"]


def test_it_watches_until_ctrl_c(healthy: LocalTopology) -> None:
    """A line of JSON each time; the exit code is that of the last look."""
    command = [sys.executable, "-m", "flask", "sentinel", "status", "--json", "--watch", "0.2"]
    environment = {**os.environ, **healthy.environment()}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert [look["verdict"] for look in looks] == ["ok"] * 3
    assert sorted(look["at"] for look in looks) == [look["at"] for look in looks]


def test_the_services_block(topology: LocalTopology, mailing: Settings, store: Store, sink: MailSink) -> None:
    """What is owed, what was sent in the last minute, and who works."""
    store.accepted()
    before = _told(topology)["service"]
    assert (before["owed"], before["workers"]) == (1, [])
    assert "no worker is alive" in _run(topology).output
    assert "Nothing is wrong." not in _run(topology).output
    with RunningWorker(mailing, name="status-worker"):
        assert wait_for(lambda: _sent_last_minute(topology) == 1, 30, interval_s=0.2), _told(topology)[
            "service"
        ]
        told = _run(topology).output
    assert len(sink.mails) == 1
    assert "Service: 0 mails owed; 1 sent in the last minute, the last one " in told
    assert "workers: status-worker." in told


def _sent_last_minute(topology: LocalTopology) -> int:
    return sum(each["sent_last_minute"] for each in _told(topology)["service"]["workers"])
