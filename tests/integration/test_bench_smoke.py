"""The benchmarks run: next to nothing is measured, without peers, and every part gives a figure.

The shortest part stands for all in `make test`; each starts a whole service.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.report.plots import Bar, Panel, draw

PROJECT = Path(__file__).resolve().parents[2]

wants_smtp_sink = pytest.mark.skipif(
    shutil.which("smtp-sink", path=f"/usr/sbin:{os.environ.get('PATH', '')}") is None,
    reason="postfix's smtp-sink is not installed",
)


def run_bench(only: str, path: Path) -> dict[str, Any]:
    """Run parts of the benchmarks at their tiniest; return what they wrote."""
    command = [sys.executable, "-m", "tests.bench", "--size", "tiny", "--only", only]
    command += ["--peers", str(path / "nobody"), "--json", str(path / "results.json")]
    done = subprocess.run(
        command,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "## The goals" in done.stdout
    results: dict[str, Any] = json.loads((path / "results.json").read_text())
    return results


@pytest.mark.long
def test_the_ways_in_and_the_footprint_are_measured(tmp_path: Path) -> None:
    """Latency, requests a second and memory come out as positive numbers, and nothing is refused."""
    results = run_bench("latency,accepting,footprint", tmp_path)
    assert results["latency"][0]["p50_ms"] > 0
    assert results["accepting"][0]["rate"] > 0
    assert results["accepting"][0]["refused"] == 0
    assert len(results["footprint"]["processes"]) == 8


@pytest.mark.long
def test_failovers_are_measured() -> None:
    """One bare failover with the shipped times: how long until a submission was accepted, and nothing refused."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.bench.failovers",
            "--times",
            "1",
            "--fault",
            "failover",
            "--fill",
            "10",
        ],
        check=False,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    conditions, _, figures = done.stdout.splitlines()
    assert "as shipped" in conditions
    name, times, *waits, _, refused = figures.split(" | ")
    assert (name, times, refused) == ("failover", "1", "0")
    assert all(float(wait.split(" / ")[0]) > 0 for wait in waits)


@wants_smtp_sink
def test_what_one_master_carries_is_measured(tmp_path: Path) -> None:
    """Each step of a verification has its processor time and its commands."""
    load = run_bench("master_load", tmp_path)["master_load"]
    assert [step["name"] for step in load["steps"]] == ["accept", "claim and settle", "check"]
    assert all(step["commands"] > 1 for step in load["steps"])
    assert sum(step["cpu_us"] for step in load["steps"]) > 0


@pytest.mark.long
@wants_smtp_sink
def test_throughput_is_measured(tmp_path: Path) -> None:
    """Both relays have a figure for us, and the slow one is as slow as it should be."""
    near, far = run_bench("throughput", tmp_path)["throughput"]
    assert near["results"][0]["rate"] > far["results"][0]["rate"] > 0
    assert far["measured_reply_ms"] >= 20


def test_a_plot_is_drawn_to_scale() -> None:
    """The longest bar takes the room there is, and another one its share of it; text is escaped."""
    svg = draw([Panel("a & b", [Bar("one", 10, "10", ours=True), Bar("two", 5, "5", ours=False)])], "summary")
    widths = [float(part.split('"', 1)[0]) for part in svg.split('" width="')[2:]]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.1)
    assert "a &amp; b" in svg
