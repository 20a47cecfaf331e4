"""The command says what it lacks where only the service's own requirements are installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
