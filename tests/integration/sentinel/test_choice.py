"""`flask sentinel switchover --to`, its rehearsal and its JSON, on real processes with the shipped times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from sentinel import LocalNode, LocalOptions, LocalTopology, refusals_of, survey, wait_for
from tests.support.topologies import FAILOVER_WITHIN_S
from verifier.cli.sentinel import sentinel_group

pytestmark = pytest.mark.chaos

SCHEMA = json.loads(Path("docs/switchover.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def own() -> Iterator[LocalTopology]:
    """A topology for this module alone; with a shorter down-after a master that was just promoted is taken for dead."""
    with LocalTopology(LocalOptions(superuser=True)) as topology:
        assert wait_for(
            lambda: not refusals_of(survey(topology.operators_access())), FAILOVER_WITHIN_S, interval_s=0.1
        )
        yield topology


def _command(topology: LocalTopology, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(sentinel_group, arguments, env={**topology.environment(), **environment})


def test_a_rehearsal_orders_nothing(own: LocalTopology) -> None:
    """It shows the steps, or what would refuse them, and the master stays."""
    master, replica = own.current_master(), own.replicas()[0]
    told = _as_json(own, "--dry-run", "--to", str(replica.endpoint))
    assert (told["done"], told["refusals"], told["steps"]) == (False, [], [])
    assert any(f"SENTINEL FAILOVER {own.master_name}" in step for step in told["plan"])
    shown = _command(own, "switchover", "--dry-run")
    assert shown.exit_code == 0
    assert f"  1. {master.endpoint} holds its writes" in shown.output
    assert "Nothing was ordered." in shown.output
    assert own.current_master() is master
    for target, words in (
        (str(master.endpoint), "is the master already"),
        ("127.0.0.1:1", "No sentinel knows a node 127.0.0.1:1"),
    ):
        refused = _as_json(own, "--dry-run", "--to", target, exit_code=1)
        assert [words in each["message"] for each in refused["refusals"]] == [True]
    assert _command(own, "switchover", "--to", "127.0.0.1:port", "--yes").exit_code == 2


def test_rights_for_choosing_are_looked_at_first(own: LocalTopology) -> None:
    """The app's user may close nobody's connections."""
    assert own.credentials is not None
    app = own.credentials.redis_app
    as_app = {"VERIFIER_REDIS_OPS_USERNAME": app.username, "VERIFIER_REDIS_OPS_PASSWORD": app.password}
    target = own.replicas()[0].endpoint
    told = _as_json(own, "--dry-run", "--to", str(target), exit_code=1, **as_app)
    assert any("+client|list, +client|kill" in each["message"] for each in told["refusals"])


def test_nobody_is_asked_without_a_terminal(own: LocalTopology) -> None:
    """A script that forgot --yes changes nothing, and is told."""
    master = own.current_master()
    refused = _command(own, "switchover")
    assert refused.exit_code == 1
    assert "without a terminal nobody can be asked" in refused.output
    assert _command(own, "switchover", "--json").exit_code == 2
    assert own.current_master() is master


def test_the_master_goes_where_it_is_sent(own: LocalTopology) -> None:
    """To the replica that Sentinel would not choose: of two with the same data it takes the one with the lower run id."""
    old, target = own.current_master(), max(own.replicas(), key=lambda node: _run_id(own, node))
    told = _as_json(own, "--to", str(target.endpoint), "--yes")
    assert (told["done"], told["proved"], told["error"]) == (True, True, None)
    assert (told["from"], told["to"]) == (str(old.endpoint), str(target.endpoint)), told
    assert told["steps"][-1]["step"] == "settled"
    assert told["notes"] == []
    assert own.current_master() is target


def _run_id(topology: LocalTopology, node: LocalNode) -> str:
    with topology.admin(node) as client:
        return str(client.info("server")["run_id"])


def _as_json(topology: LocalTopology, *arguments: str, exit_code: int = 0, **environment: str) -> Any:
    told = _command(topology, "switchover", "--json", *arguments, **environment)
    assert told.exit_code == exit_code, told.output
    document = json.loads(told.output)
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    return document
