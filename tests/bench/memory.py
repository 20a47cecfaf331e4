"""What the processes of a worker or of the whole service cost together: memory and processor time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from verifier.drill.rig.process import process_tree

_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Memory:
    """What one process holds, in MB: resident now, resident at most, and its share where pages are shared."""

    pid: int
    name: str
    rss_mb: float
    peak_mb: float
    pss_mb: float


def cpu_seconds_of_tree(pid: int) -> float:
    """Return the processor time of a process, of all below it, and of those of them that have ended."""
    total = 0.0
    for process in process_tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # user and system: its own, then its ended children's
    return total


def memory_of_tree(pid: int) -> list[Memory]:
    """Measure the memory of a process and of all below it."""
    return list(_memory_of(process_tree(pid)))


def _memory_of(processes: list[psutil.Process]) -> Iterator[Memory]:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = process.memory_full_info()
            # psutil has no peak on Linux.
            peak = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
            peak_bytes = 1024 * int(peak[1]) if peak else memory.rss
            megabytes = (each / 1e6 for each in (memory.rss, peak_bytes, memory.pss))
            yield Memory(process.pid, " ".join(process.cmdline()), *megabytes)
