"""Outcomes in which every promise is kept, for tests to spoil."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from verifier.drill.outcome import Counts, Outcome, ProcessCost, Series

CHEAP = ProcessCost(cpu_percent=0.3, memory_growth_bytes=4096, log_lines=1, connects_per_s=0.7)


def counts(**changes: Any) -> Counts:
    """Return the counts of a failover in which nothing went wrong."""
    perfect = Counts(
        submitted=100,
        accepted=100,
        refused=0,
        unclear=0,
        cut_off=0,
        lost=0,
        twice=0,
        differing=0,
        late_repeats=0,
        checks=20,
        checks_refused=0,
        checks_wrong=0,
        answers={"201": 100},
        longest_wait_s=2.3,
        longest_mail_delay_s=0.1,
        switch_s=2.2,
        first_accept_s=0.02,
        first_mail_s=0.03,
    )
    return replace(perfect, **changes)


def outcome(fault: str = "kill", **changes: Any) -> Outcome:
    """Return an outcome in which nothing went wrong; changes to its counts may be given among the others."""
    count_names = set(Counts.__dataclass_fields__)
    perfect = Outcome(
        system="verifier",
        fault=fault,
        rate=50,
        counts=counts(**{name: value for name, value in changes.items() if name in count_names}),
        outage_s=14.0,
        costs={"web-1": CHEAP, "worker-1": CHEAP},
        worker_exits=0,
        owed=0,
        alarm_s=0.5,
        healthy=True,
        trouble="",
        marks={"fault": 1.0, "fault_ended": 3.0, "+switch-master": 2.0},
        series=Series(0.25, (50.0,) * 20, (48.0,) * 20, (0.0,) * 20),
    )
    return replace(perfect, **{name: value for name, value in changes.items() if name not in count_names})
