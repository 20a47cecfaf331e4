"""Filling a container's memory so that the kernel ends the program in it, and not the one that fills."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from tests.deployment.engine import Container

FIRST_TO_GO = 1000
# Slowly, so that the program feels it first: its own allocations come back late.
_FILL = "import time\nheld = []\nwhile True:\n    held.append(b'x' * (1 << 20))\n    time.sleep(0.01)\n"


def fill(container: Container) -> None:
    """Begin to take all memory that the container may have, a MiB at a time, until something is ended."""
    first = psutil.Process(container.pid)
    for process in [first, *first.children(recursive=True)]:
        with suppress(OSError):
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(FIRST_TO_GO))
    container.engine.run("exec", "-d", container.id, "python", "-c", _FILL)
