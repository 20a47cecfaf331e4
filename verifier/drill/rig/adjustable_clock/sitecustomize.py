# ruff: noqa: INP001 - Python finds it by this name alone
"""Gives a process a wall clock that the drill can move while it runs.

Python imports a module of this name when it starts; the drill puts this one's directory on PYTHONPATH. The shift in
seconds stands in a file, which is shared with the processes that are forked later. `datetime.now` is not moved.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path


def _make_adjustable(file: Path) -> None:
    file.write_bytes(struct.pack("d", 0.0))
    with file.open("r+b") as opened:
        shift = mmap.mmap(opened.fileno(), 0)
    machines_time = time.time
    time.time = lambda: machines_time() + struct.unpack("d", shift[:])[0]


if "DRILL_CLOCKS" in os.environ:
    _make_adjustable(Path(os.environ["DRILL_CLOCKS"]) / f"clock-{os.getpid()}")
