"""`flask worker --processes`: several workers under one parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq.worker import Worker

from sentinel import LocalTopology, wait_for
from verifier.domain.keys import new_secret

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60


def children_of(pid: int) -> set[int]:
    """Return the running child processes of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in text.split()}


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def parent(topology: LocalTopology) -> Iterator[subprocess.Popen[bytes]]:
    """Run `flask worker --processes 2` and wait until it has its children."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")},
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": f"test:{new_secret()}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker", "--processes", "2", "--name", "pair"],
        cwd=ROOT,
        env=environment,
    )
    try:
        with topology.admin(topology.current_master()) as admin:
            assert wait_for(lambda: names_of_workers(admin) >= {"pair-1", "pair-2"}, DEADLINE_S)
        yield process
    finally:
        process.kill()
        process.wait()


def names_of_workers(connection: Redis) -> set[str]:
    """Return the names of the workers that RQ's tools see."""
    return {worker.name for worker in Worker.all(connection=connection)}


def test_sigterm_ends_parent_and_children(parent: subprocess.Popen[bytes]) -> None:
    """One SIGTERM to the parent ends all of them, with exit code 0."""
    children = children_of(parent.pid)
    assert len(children) == 2
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(DEADLINE_S) == 0
    assert not any(is_alive(child) for child in children)


def test_a_killed_child_is_started_again(parent: subprocess.Popen[bytes]) -> None:
    """A child that dies is replaced; the other one is left alone."""
    victim, other = sorted(children_of(parent.pid))
    os.kill(victim, signal.SIGKILL)
    assert wait_for(
        lambda: len(children_of(parent.pid)) == 2 and victim not in children_of(parent.pid), DEADLINE_S
    )
    assert other in children_of(parent.pid)


def test_children_stop_when_the_parent_is_killed(parent: subprocess.Popen[bytes]) -> None:
    """A parent that is killed leaves nobody behind who works unseen."""
    children = children_of(parent.pid)
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not any(is_alive(child) for child in children), DEADLINE_S)
