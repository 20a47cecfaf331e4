"""Everything one run found; what was not measured is None."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.accepting import Accepting
from tests.bench.footprint import Footprint
from tests.bench.growth import Growth
from tests.bench.latency import Latency
from tests.bench.machine import Machine
from tests.bench.master_load import MasterLoad
from tests.bench.throughput import Relay


@dataclass
class Results:
    """One run."""

    machine: Machine
    size: str
    """Which of the sizes it had; only a full one is worth quoting."""
    throughput: list[Relay] | None = None
    latency: list[Latency] | None = None
    accepting: list[Accepting] | None = None
    growth: Growth | None = None
    footprint: Footprint | None = None
    master_load: MasterLoad | None = None
