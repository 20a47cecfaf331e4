"""What processes use: processor time and memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment."""

    cpu_s: float
    memory_bytes: int


def usage_of(processes: Mapping[str, int]) -> dict[str, Usage]:
    """Return, by name, what each process has used, ended threads included; those that are gone are left out."""
    found = {}
    for name, pid in processes.items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[name] = Usage(sum(process.cpu_times()[:2]), process.memory_info().rss)
    return found


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all below it; nothing where it is gone."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
