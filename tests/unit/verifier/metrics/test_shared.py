"""Processes that count together: what each has counted is added up, and what ended is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

# What is counted where is decided for a whole process, so each of these is one.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry, generate_latest
from verifier.metrics import shared
from verifier.metrics.link import LinkMetrics
from verifier.metrics.page import MetricsPage

class Nothing:
    def collect(self):
        return []

def child(body):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)
    try:
        body()
    finally:
        os._exit(0)

def count():
    link = LinkMetrics(CollectorRegistry())
    link.moved(); link.connected(worked=True); link.waited(2.5, worked=True)
    link.circuit(is_open=True); link.sentinels(2, 3)

shared.count_together()
where = shared.directory()
registry = CollectorRegistry()
link = LinkMetrics(registry)
page = MetricsPage(registry, Nothing())
"""


def _run(program: str, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_that_ended_count_on_and_leave_no_files(tmp_path: Path) -> None:
    """Ten of them: what they counted is there, what they were is not, and their files are two."""
    program = """
link.moved()
for _ in range(10):
    child(count)
print(page.render("")[0].decode())
names = sorted(path.name for path in where.iterdir())
print("FILES", sorted(set(name.rpartition("_")[2] for name in names if name.endswith(".db"))) == ["0.db", f"{os.getpid()}.db"])
print(page.render("")[0].decode().count("verifier_master_moves_total 11.0"))
"""
    said = _run(program, tmp_path)
    assert "verifier_master_moves_total 11.0" in said
    assert 'verifier_redis_connections_total{result="worked"} 10.0' in said
    assert 'verifier_master_wait_seconds_bucket{le="3.0",result="worked"} 10.0' in said
    assert 'verifier_master_wait_seconds_sum{result="worked"} 25.0' in said
    assert "verifier_breaker_open 0.0" in said
    assert "verifier_sentinels{" not in said
    assert said.endswith("FILES True\n1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["b''", "b'1'", "b'\\xff\\x00\\x00\\x00' + b'\\xff' * 300"])
def test_a_file_that_was_left_half_made_costs_only_itself(content: str, tmp_path: Path) -> None:
    """Somebody was killed while it was made."""
    program = f"""
child(count)
(where / "counter_4000001.db").write_bytes({content})
print(page.render("")[0].decode())
print((where / "counter_4000001.db").exists())
"""
    said = _run(program, tmp_path)
    assert "verifier_master_moves_total 1.0" in said
    assert said.endswith("False\n")


def test_a_gauge_ends_with_its_process_whoever_removes_it(tmp_path: Path) -> None:
    """It may be gone in the moment in which it is removed."""
    program = """
def gone(path, **_):
    raise FileNotFoundError(path)

def breaker_opens():
    link.circuit(is_open=True)

child(breaker_opens)
assert any("livemax" in path.name for path in where.glob("*.db"))
os.remove = gone
print(page.render("")[0].decode())
"""
    assert "verifier_breaker_open 0.0" in _run(program, tmp_path)


def test_one_that_hangs_while_it_adds_up_holds_nobody_up(tmp_path: Path) -> None:
    """The lock is waited for only so long; nothing is added up then, since it may have done half of it."""
    program = """
import fcntl
held = (where / "lock").open("wb")
fcntl.flock(held, fcntl.LOCK_EX)
link.moved()
child(count)
before = sorted(path.name for path in where.glob("counter_*.db"))
print(page.render("")[0].decode())
print("KEPT", sorted(path.name for path in where.glob("counter_*.db")) == before)
"""
    said = _run(program, tmp_path)
    assert "verifier_master_moves_total 2.0" in said
    assert "KEPT True" in said


def test_what_a_killed_parent_left_is_removed(tmp_path: Path) -> None:
    """And nothing of one that lives, nor what only has a similar name."""
    for name in ("verifier-metrics-4000001-abc", "verifier-metrics-1-abc", "verifier-metrics-notes"):
        (tmp_path / name).mkdir()
    _run("", tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"verifier-metrics-1-abc", "verifier-metrics-notes"}


def test_without_a_place_to_write_each_counts_for_itself(tmp_path: Path) -> None:
    """The service runs, and the log says what the numbers are."""
    program = """
print("NONE", where)
link.moved()
print(page.render("")[0].decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        cwd=ROOT,
        env={"RUNTIME_DIRECTORY": str(tmp_path / "missing"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "NONE None" in done.stdout
    assert "verifier_master_moves_total 1.0" in done.stdout
    assert "each shows its own" in done.stderr
