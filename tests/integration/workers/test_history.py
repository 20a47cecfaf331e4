"""Two workers keep the history of the master: each move once, with who did it and why, also while Redis is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from sentinel import LocalTopology, TransientError, wait_for
from tests.support.links import subscribed_to
from tests.support.switchover import service_on
from tests.support.topologies import FAILOVER_WITHIN_S, QUICK
from tests.support.workers import RunningWorker
from verifier.cli.sentinel import sentinel_group
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.history import EventKind, HistoryEvent, read_history
from verifier.store.history import historian as historian_module
from verifier.store.history.historian import Historian

pytestmark = [pytest.mark.chaos, pytest.mark.long]

SCHEMA = json.loads(Path("docs/history.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTopology]:
    """A topology for this module alone."""
    with LocalTopology(QUICK) as topology:
        yield topology


@pytest.fixture
def own(running: LocalTopology) -> LocalTopology:
    """Healed, without a history."""
    running.heal()
    with running.admin(running.current_master()) as client:
        client.delete(keyspace.HISTORY)
    return running


@pytest.fixture
def settings(own: LocalTopology) -> Iterator[Settings]:
    """The settings that lead there."""
    with service_on(own) as container:
        yield container.settings


def _events(topology: LocalTopology) -> list[HistoryEvent]:
    try:
        with topology.admin(topology.current_master()) as client:
            return read_history(client)
    except Exception:  # noqa: BLE001 - in the middle of a failover
        return []


def _command(topology: LocalTopology, *arguments: str) -> Result:
    return CliRunner().invoke(sentinel_group, arguments, env=topology.environment())


def _is_told(topology: LocalTopology, count: int) -> bool:
    return len(_events(topology)) >= count and topology.is_healthy()


def _told(topology: LocalTopology) -> Any:
    told = json.loads(_command(topology, "history", "--json").output)
    jsonschema.validate(told, SCHEMA, jsonschema.Draft202012Validator)
    return told["events"]


def test_each_move_once_with_who_and_why(own: LocalTopology, settings: Settings) -> None:
    """Ordered at a sentinel, moved with our command, and moved because the master died."""
    places = [own.current_master().endpoint]
    with RunningWorker(settings) as one, RunningWorker(settings) as two:
        for worker in (one, two):
            assert wait_for(lambda worker=worker: len(subscribed_to(worker.container.link)) == 3, 60)
        own.failover()
        assert wait_for(lambda: _is_told(own, 1), FAILOVER_WITHIN_S)
        places.append(own.current_master().endpoint)
        assert wait_for(
            lambda: _command(own, "switchover", "--yes").exit_code == 0, FAILOVER_WITHIN_S, interval_s=1
        )
        places.append(own.current_master().endpoint)
        assert wait_for(lambda: _is_told(own, 2), FAILOVER_WITHIN_S)
        own.current_master().kill()
        assert wait_for(lambda: len(_events(own)) >= 3, FAILOVER_WITHIN_S)
        places.append(own.current_master().endpoint)
        one.wait(lambda: not one.container.link.events.take())
    died, switched, ordered = _events(own)
    assert [each.new for each in (ordered, switched, died)] == places[1:]
    assert [each.old for each in (ordered, switched, died)] == places[:-1]
    assert ordered.why == "a failover was ordered (SENTINEL FAILOVER)"
    assert ordered.by.startswith("sentinel 127.0.0.1:")
    assert switched.kind is EventKind.SWITCHOVER
    assert " on " in switched.by
    assert died.why.startswith("the sentinels took it for down")
    assert [each.epoch for each in (ordered, switched, died)] == sorted(
        {each.epoch for each in (ordered, switched, died) if each.epoch is not None}
    )
    assert [each["kind"] for each in _told(own)] == ["failover", "switchover", "failover"]
    shown = _command(own, "history", "-n", "1").output
    assert str(died.old) in shown
    assert "a failover was ordered" not in shown
    assert "the sentinels took it for down" in _command(own, "status").output


def test_what_happens_while_redis_is_away_is_written_after(
    own: LocalTopology, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept, and stands at the time at which it happened; also a move that nobody was there to hear of."""
    monkeypatch.setattr(historian_module, "UNHEARD_AFTER_S", 0.0)
    with service_on(own) as container:
        link = container.link
        first = Historian(link)
        link.run(lambda client: client.ping())
        assert wait_for(lambda: len(subscribed_to(link)) == 3, 60)
        first.run()
        before = own.current_master().endpoint
        own.failover()
        assert wait_for(
            lambda: own.current_master().endpoint != before and own.is_healthy(), FAILOVER_WITHIN_S
        )
        with monkeypatch.context() as away:
            away.setattr(historian_module, "record_event", _refuse)
            with pytest.raises(TransientError):
                first.run()
        first.run()
    [heard] = _events(own)
    assert (heard.old, heard.new) == (before, own.current_master().endpoint)
    assert wait_for(own.is_healthy, FAILOVER_WITHIN_S)
    own.failover()
    assert wait_for(
        lambda: own.current_master().endpoint != heard.new and own.is_healthy(), FAILOVER_WITHIN_S
    )
    with service_on(own) as container:
        container.link.run(lambda client: client.ping())
        Historian(container.link).run()
        Historian(container.link).run()
    found, _ = _events(own)
    assert (found.old, found.new) == (heard.new, own.current_master().endpoint)
    assert found.why == "found later: no worker heard of it when it happened"


def _refuse(*_: object, **__: object) -> bool:
    raise TransientError("Redis is away.")
