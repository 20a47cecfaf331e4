"""The processes of a deployment tell: gunicorn's two, and a worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.integration.verifier.alerts.receiver import Receiver
from tests.support.web import KEYS, Web
from verifier.cli.alerts import alerts_group
from verifier.store import keyspace

WITHIN_S = 60


@pytest.mark.long
def test_gunicorns_processes_tell_once_that_there_is_no_worker(
    topology: LocalTopology, master: Redis, tmp_path: Path
) -> None:
    """With the shipped times; the other process goes on when the one that told is killed."""
    with Receiver() as receiver, Web(topology, tmp_path, VERIFIER_ALERT_WEBHOOK=receiver.url) as web:
        web.wait_until_it_answers()
        assert wait_for(lambda: bool(receiver.bodies), WITHIN_S)
        assert _told(receiver) == ["firing"]
        assert web.output().count("Alert NoWorker: ") == 1
        # What was told is written down with the next look.
        assert wait_for(lambda: '"announced": true' in str(master.get(keyspace.ALERTS)), WITHIN_S)
        teller = str(master.get(keyspace.TELLER))
        os.kill(int(teller.split(":")[1]), signal.SIGKILL)
        assert wait_for(lambda: str(master.get(keyspace.TELLER)) not in {teller, "None"}, WITHIN_S)
        master.zadd(keyspace.WORKERS, {"somebody": 9999999999})
        master.set(f"{keyspace.WORKER_PREFIX}somebody", '{"name": "somebody", "troubles": []}')
        assert wait_for(lambda: len(receiver.bodies) > 1, WITHIN_S)
        assert _told(receiver) == ["firing", "resolved"]
        assert receiver.url not in web.output()


def _told(receiver: Receiver) -> list[str]:
    assert {body["name"] for body in receiver.bodies} == {"NoWorker"}
    return [body["state"] for body in receiver.bodies]


@pytest.mark.parametrize(
    ("reply", "exit_code", "says"), [(200, 0, "took the message"), (403, 1, "it answered 403")]
)
def test_flask_alerts_test_says_what_came_back(reply: int, exit_code: int, says: str) -> None:
    """A message that anybody recognises as a test."""
    with Receiver() as receiver:
        receiver.replies = [reply]
        environment = {"VERIFIER_SECRET_KEYS": KEYS, "VERIFIER_ALERT_WEBHOOK": receiver.url}
        result = CliRunner().invoke(alerts_group, ["test"], env=environment)
    assert (result.exit_code, says in result.output) == (exit_code, True), result.output
    assert receiver.url not in result.output
    assert [body["name"] for body in receiver.bodies] == ["Test"] * (reply == 200)


def test_flask_alerts_test_names_the_setting_that_is_missing() -> None:
    """In place of telling nobody without a word."""
    result = CliRunner().invoke(alerts_group, ["test"], env={"VERIFIER_SECRET_KEYS": KEYS})
    assert (result.exit_code, "VERIFIER_ALERT_WEBHOOK is not set" in result.output) == (1, True)
