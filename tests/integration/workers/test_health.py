"""The health check of a worker's container, on real processes in each state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.support.web import KEYS
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import bare_environment, verifier
from workers.health.pulse import STALE_AFTER_S


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker, but for where its Redis is."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    return {
        **bare_environment(),
        "PYTHONPATH": verifier().import_path,
        "VERIFIER_SECRET_KEYS": KEYS,
        "RUNTIME_DIRECTORY": str(runtime),
    }


def _worker(environment: dict[str, str], directory: Path) -> RigProcess:
    system = verifier()
    return RigProcess("worker", system.command(*system.worker), environment, directory)


def _health(environment: dict[str, str]) -> str:
    """Return what the check says; empty where all is well."""
    checked = subprocess.run(
        [sys.executable, "-m", "workers.health"], env=environment, capture_output=True, text=True, check=False
    )
    assert bool(checked.returncode) == bool(checked.stdout), checked
    assert checked.stderr == ""
    return checked.stdout


def _pulse(environment: dict[str, str]) -> Path:
    """Return the file that the one worker writes."""
    [pulse] = Path(environment["RUNTIME_DIRECTORY"]).glob("worker-*.json")
    return pulse


def _let_half_a_minute_pass(pulse: Path) -> None:
    """Have been written earlier whatever a worker wrote that writes no more."""
    written = json.loads(pulse.read_text())
    older = {name: at - STALE_AFTER_S for name, at in written.items() if name.endswith("_at")}
    pulse.write_text(json.dumps(written | older))


def test_green_while_it_works_and_red_when_it_hangs_or_is_gone(
    topology: LocalTopology, master: Redis, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Stopped (SIGSTOP), it is red after half a minute; continued, green again; killed, red at once."""
    assert master.ping()
    environment |= topology.environment()
    assert "No worker runs here" in _health(environment)
    with _worker(environment, tmp_path) as worker:
        worker.wait_for_output(verifier().worker_says, 30)
        assert wait_for(lambda: _health(environment) == "", 60), _health(environment)
        worker.pause()
        before = _pulse(environment).read_text()
        assert not wait_for(lambda: _pulse(environment).read_text() != before, 3)
        _let_half_a_minute_pass(_pulse(environment))
        assert "has not moved" in _health(environment)
        worker.resume()
        assert wait_for(lambda: _health(environment) == "", 60), _health(environment)
        worker.kill()
        assert "No worker runs here" in _health(environment)


def test_green_while_redis_is_away(tmp_path: Path, environment: dict[str, str]) -> None:
    """It waits, and a restart would mend nothing."""
    environment |= {"VERIFIER_SENTINELS": "127.0.0.1:1"}
    with _worker(environment, tmp_path) as worker:
        worker.wait_for_output("Redis can't be reached", 30)
        assert wait_for(lambda: _health(environment) == "", 60), _health(environment)
        assert worker.exit_code is None
        os.kill(worker.pid, 15)
        worker.wait_for_output("has stopped", 60)
    assert "No worker runs here" in _health(environment)
