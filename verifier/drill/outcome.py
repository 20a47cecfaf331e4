"""What one fault did to the service: plain numbers, as they go into table, JSON and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moments:
    """When things happened, in monotonic seconds."""

    began: float
    fault: float
    switches: tuple[float, ...]
    """When each new master was announced first."""
    fault_ended: float
    ended: float

    @property
    def switch(self) -> float | None:
        """When the first new master was announced; None where there was none."""
        return self.switches[0] if self.switches else None

    def marks(self) -> dict[str, float]:
        """Name the moments, in seconds from the beginning."""
        named = {"fault": self.fault, "fault_ended": self.fault_ended}
        for number, at in enumerate(self.switches, start=1):
            named["+switch-master" if number == 1 else f"+switch-master {number}"] = at
        return {name: at - self.began for name, at in named.items()}


@dataclass(frozen=True)
class Counts:
    """What became of the submissions and how long people waited; durations in seconds."""

    submitted: int
    accepted: int
    refused: int
    """Answered with anything but 201, or not at all; those cut off are counted on their own."""
    unclear: int
    """Of those refused, the ones that were not a 503 with Retry-After."""
    cut_off: int
    lost: int
    """Accepted and never mailed."""
    twice: int
    """Mailed more than once."""
    differing: int
    """Of those, the ones whose repeats had another Message-ID or another code."""
    late_repeats: int
    """Of those, the ones that had been mailed before the fault's end and were mailed again after it."""
    checks: int
    """Right codes that were typed."""
    checks_refused: int
    """Of those, the ones that got an error, or no answer."""
    checks_wrong: int
    """Of those, the ones that were not taken for right."""
    answers: dict[str, int]
    """How often each status or failure came."""
    longest_wait_s: float
    longest_mail_delay_s: float
    """From the yes to the mail."""
    switch_s: float | None
    """From the fault to the first `+switch-master`."""
    first_accept_s: float | None
    """From there to the first yes."""
    first_mail_s: float | None
    """From there to the first mail of a submission accepted after it."""


@dataclass(frozen=True)
class ProcessCost:
    """What one process cost during the outage."""

    cpu_percent: float
    memory_growth_bytes: int
    log_lines: int
    connects_per_s: float
    """Attempts to connect with the endpoint it tried most, where the drill listened in a dead one's place."""


@dataclass(frozen=True)
class Series:
    """How many a second over time, in bins of `bin_s` seconds from the beginning of the load."""

    bin_s: float
    accepted: tuple[float, ...]
    mailed: tuple[float, ...]
    refused: tuple[float, ...]


@dataclass(frozen=True)
class Breach:
    """A promise that was not kept: which figure shows it, and a sentence."""

    figure: str
    sentence: str


@dataclass(frozen=True)
class Outcome:
    """One fault, from beginning to end."""

    system: str
    fault: str
    rate: float
    counts: Counts
    outage_s: float
    """How long processes were measured: from the fault until its end, or a quiet part of that."""
    costs: dict[str, ProcessCost]
    worker_exits: int
    owed: int
    """What the service still had to mail when the waiting was over."""
    alarm_s: float | None
    """From the fault to the first line of any log that alarms an operator."""
    healthy: bool
    """Whether topology and web were whole again in the end."""
    trouble: str
    """What kept the fault from being done as it should; empty where nothing did."""
    marks: dict[str, float]
    """Moments, in seconds from the beginning of the load."""
    series: Series
    breaches: tuple[Breach, ...] = ()

    def worst(self, figure: Callable[[ProcessCost], float], kind: str = "") -> float:
        """Return the highest of one cost among the processes whose name begins with `kind`: `web`, `worker`, any."""
        return max((figure(cost) for name, cost in self.costs.items() if name.startswith(kind)), default=0)
