"""Measuring the service's processes over a stretch of time: CPU, memory, log, attempts to connect."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from sentinel import Endpoint
from verifier.drill.outcome import ProcessCost
from verifier.drill.rig.service import Service


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


class Measurement:
    """From when it is made until `stop`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._processes = service.processes()
        self._began_at = time.monotonic()
        self._before = usage_of(self._processes)
        self._lines_before = self._lines()
        self.duration_s = 0.0
        self.costs: dict[str, ProcessCost] = {}

    def stop(self, attempts: Counter[tuple[str, Endpoint]] | None = None) -> None:
        """Take the second reading; processes that are gone by now are left out."""
        after = usage_of(self._processes)
        lines = self._lines()
        self.duration_s = time.monotonic() - self._began_at
        for name, now in after.items():
            then = self._before[name]
            self.costs[name] = ProcessCost(
                cpu_percent=100 * (now.cpu_s - then.cpu_s) / self.duration_s,
                memory_growth_bytes=now.memory_bytes - then.memory_bytes,
                log_lines=lines.get(name, 0) - self._lines_before.get(name, 0),
                connects_per_s=_busiest(attempts or Counter(), name) / self.duration_s,
            )

    def _lines(self) -> dict[str, int]:
        """Count each worker's log; the processes of the web share one, so the whole counts for each of them."""
        web = self._service.web.output().count("\n")
        lines = {each.name: each.output().count("\n") for each in self._service.workers}
        return {name: lines.get(name, web) for name in self._processes}


def _busiest(attempts: Counter[tuple[str, Endpoint]], process: str) -> int:
    return max((number for (name, _), number in attempts.items() if name == process), default=0)
