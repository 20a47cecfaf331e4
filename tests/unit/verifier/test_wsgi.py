"""The first file that anybody starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_outside_of_the_environment_a_sentence_says_what_to_do() -> None:
    """A Python without what we need; no traceback."""
    # -S leaves out what is installed.
    ended = subprocess.run(
        [sys.executable, "-S", "wsgi.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert re.search(r"lacks \w+: run `make install`", ended.stderr)
    assert "Traceback" not in ended.stderr
