"""What processes cost, read from /proc: CPU time, memory, lines of log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment."""

    cpu_s: float
    memory_bytes: int


def read_process(pid: int) -> Reading | None:
    """Read CPU time, ended threads included, and resident memory; None where the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may hold blanks itself.
    fields = stat.rpartition(")")[2].split()
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return Reading(ticks / _TICKS_PER_S, pages * _PAGE_BYTES)


def read_processes(processes: dict[str, int]) -> dict[str, Reading]:
    """Read several, by name; those that are gone are left out."""
    readings = {name: read_process(pid) for name, pid in processes.items()}
    return {name: reading for name, reading in readings.items() if reading is not None}


def count_lines(log: Path) -> int:
    """Count the lines of a log."""
    try:
        return log.read_bytes().count(b"\n")
    except OSError:
        return 0
