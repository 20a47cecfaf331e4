"""The command plans what it was asked for, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from verifier.drill.command import drill_command
from verifier.drill.game_day import Plan
from verifier.drill.report import presenting

PROGRAM = """
import sys
sys.modules[sys.argv[1]] = None
from verifier.drill.command import drill_command
drill_command(["--list"])
"""


@pytest.mark.parametrize("library", ["psutil", "aiohttp"])
def test_missing_library_is_named_with_its_remedy(library: str) -> None:
    """A deployment has no development requirements; there the drill ends with a sentence, not with a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, library], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == f"Error: The drill needs {library}, which only requirements-dev.txt brings: install that.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "down_after_ms"),
    [([], 1500), (["--down-after", "2500"], 2500), (["--shipped"], None)],
)
def test_shipped_times_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], down_after_ms: int | None
) -> None:
    """With --shipped the drill sets no time of Sentinel's; without it, down-after alone."""
    plans: list[Plan] = []
    monkeypatch.setattr(presenting, "run_and_present", lambda plan, *_: plans.append(plan) or True)
    done = CliRunner().invoke(drill_command, [*arguments, "--fault", "kill"])
    assert done.exit_code == 0, done.output
    assert [plan.down_after_ms for plan in plans] == [down_after_ms]
