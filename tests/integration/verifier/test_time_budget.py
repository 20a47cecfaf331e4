"""Times that do not fit each other, and names in place of addresses, are said on real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sentinel import Endpoint, LocalOptions, LocalTopology, PortReservation, findings_of, survey, wait_for
from sentinel.local.ports import LOOPBACK
from verifier.cli.sentinel import sentinel_group
from verifier.domain.keys import new_secret

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 60
SAID = "nothing is accepted for about 11 s (down-after-milliseconds 9000"
REMEDY = "Set down-after-milliseconds 4000 on every sentinel (SENTINEL SET), or set VERIFIER_REQUEST_DEADLINE"


@pytest.fixture(scope="module")
def slow() -> Iterator[LocalTopology]:
    """Sentinels that take longer than a request waits."""
    with LocalTopology(LocalOptions(down_after_ms=9000)) as running:
        yield running


@pytest.fixture(scope="module")
def named() -> Iterator[LocalTopology]:
    """A topology in which all go by names."""
    with LocalTopology(LocalOptions(hostname="localhost")) as running:
        yield running


def _environment(topology: LocalTopology) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")}
    return bare | topology.environment() | {"VERIFIER_SECRET_KEYS": f"test:{new_secret()}"}


def _status(topology: LocalTopology, *arguments: str, **more: str) -> Any:
    return CliRunner().invoke(sentinel_group, ["status", *arguments], env=topology.environment() | more)


def _codes(topology: LocalTopology, **more: str) -> set[str]:
    told = json.loads(_status(topology, "--json", **more).output)
    return {each["code"] for each in told["findings"]}


def test_status_names_both_numbers(slow: LocalTopology) -> None:
    """As a warning with what to change; it does not make the command fail."""
    shown = _status(slow)
    assert shown.exit_code == 2
    assert SAID in shown.output
    assert "10 s only (VERIFIER_REQUEST_DEADLINE)" in shown.output
    assert REMEDY in shown.output
    assert _codes(slow, VERIFIER_REQUEST_DEADLINE="12") == set()


def test_a_copy_that_waits_for_company_counts(named: LocalTopology) -> None:
    """Nodes are asked for their repl-diskless-sync-delay where there are no users: none of ours may read settings."""
    assert "time-budget" not in _codes(named, VERIFIER_REQUEST_DEADLINE="7")
    assert "time-budget" in _codes(named, VERIFIER_REQUEST_DEADLINE="6")
    assert {node.sync_delay_s for node in named.snapshot().nodes} == {None}
    with LocalTopology(LocalOptions(replicas=1, sentinels=1, acl=False)) as plain:
        assert {node.sync_delay_s for node in plain.snapshot().nodes} == {0}


@pytest.mark.parametrize("part", ["web", "worker"])
def test_a_start_with_times_that_do_not_fit_warns_and_goes_on(
    slow: LocalTopology, tmp_path: Path, part: str
) -> None:
    """One line in the log, from the app's own users, while the part works."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    web = ["gunicorn", "-c", "gunicorn.conf.py", "--workers", "1", "--bind", f"{LOOPBACK}:{port}", "wsgi:app"]
    command = web if part == "web" else ["flask", "--app", "wsgi", "worker"]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=_environment(slow), stdout=file, stderr=file
        )
    try:
        assert wait_for(lambda: SAID in log.read_text(), WITHIN_S), log.read_text()
        assert log.read_text().count(REMEDY) == 1
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def test_sentinels_that_know_names_are_found(named: LocalTopology) -> None:
    """The sentence says what happens then, and what helps."""
    shown = _status(named)
    assert shown.exit_code == 2
    assert _codes(named) == {"names"}
    assert "know nodes or each other by name (localhost)" in shown.output
    assert "Give every node and sentinel a fixed address" in shown.output


def test_names_and_addresses_side_by_side_are_found(named: LocalTopology) -> None:
    """A sentinel that is told of a node by its address, too, knows it twice."""
    snapshot = named.snapshot()
    first = snapshot.sentinels[0]
    twice = tuple(replace(each, endpoint=Endpoint(LOOPBACK, each.endpoint.port)) for each in first.replicas)
    mixed = replace(first, replicas=(*first.replicas, *twice))
    codes = {each.code for each in findings_of(replace(snapshot, sentinels=(mixed, *snapshot.sentinels[1:])))}
    assert {"names", "names-mixed"} <= codes


def test_a_master_whose_name_does_not_resolve_is_said_in_one_sentence(
    named: LocalTopology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is on a machine that does not know the names which the sentinels use."""
    by_address = tuple(Endpoint(LOOPBACK, each.port) for each in named.sentinels)
    access = replace(named.operators_access(), sentinels=by_address)
    real = socket.getaddrinfo

    def without_the_name(host: Any, *arguments: Any, **more: Any) -> Any:
        if host == "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", without_the_name)
    found = {each.code: each for each in findings_of(survey(access))}
    assert "master-silent" not in found
    assert "as the master, and that name does not resolve here." in found["master-unresolved"].message
