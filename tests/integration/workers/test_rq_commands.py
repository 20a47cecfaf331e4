"""RQ's own commands reach the master through Sentinel, with the settings of the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from redis import Redis

from sentinel import LocalTopology
from tests.support.workers import RunningWorker
from verifier.settings import Settings

ROOT = Path(__file__).parents[3]


def _rq(topology: LocalTopology, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")}
    return subprocess.run(
        [sys.executable, "-m", "rq.cli", command, "-c", "verifier.cli.rq_config"],
        cwd=ROOT,
        env={**environment, **topology.environment(), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_rq_lists_the_workers_and_suspends_them(
    topology: LocalTopology, mailing: Settings, master: Redis
) -> None:
    """With the very commands of the runbook."""
    with RunningWorker(mailing) as worker:
        worker.wait(lambda: f"{worker.worker.name} (" in _rq(topology, "info").stdout)
        assert _rq(topology, "suspend").returncode == 0
        assert master.exists("rq:suspended")
        assert _rq(topology, "resume").returncode == 0
        assert not master.exists("rq:suspended")


def test_a_wrong_setting_is_said_in_a_sentence(topology: LocalTopology) -> None:
    """And without a traceback."""
    refused = _rq(topology, "info", VERIFIER_SENTINELS="redis://a")
    assert refused.returncode != 0
    assert "VERIFIER_SENTINELS: " in refused.stderr
    assert "Traceback" not in refused.stderr
