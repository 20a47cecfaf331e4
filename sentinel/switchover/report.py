"""What a planned switchover reports: its steps as they happen, its result, and how it can fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint
from sentinel.topology.findings import Finding


class Step(StrEnum):
    """What has just been reached."""

    HELD = "held"
    IN_SYNC = "in sync"
    ORDERED = "ordered"
    PROMOTED = "promoted"
    DECIDED = "decided"
    DEMOTED = "demoted"
    RELEASED = "released"
    PROVED = "proved"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step, when it was reached in seconds from the start, and a sentence for people."""

    step: Step
    elapsed_s: float
    message: str


Report = Callable[[Progress], None]


class Journal:
    """The steps reached so far, reported as they come, and what to note beside them."""

    def __init__(self, report: Report, clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._started_at = clock()
        self.steps: list[Progress] = []
        self.notes: list[str] = []

    def reached(self, step: Step, message: str) -> None:
        """Note a step, then report it."""
        self.steps.append(Progress(step, self._clock() - self._started_at, message))
        self._report(self.steps[-1])


@dataclass(frozen=True, slots=True)
class SwitchoverResult:
    """A switchover that was done."""

    old: Endpoint
    new: Endpoint
    steps: tuple[Progress, ...]
    notes: tuple[str, ...]
    """What an operator should know or look after; empty when everything went as it should."""
    proved: bool = True
    """Whether a write proved that the new master takes any, or none was to be tried."""

    @property
    def held_s(self) -> float:
        """For how many seconds the old master held writes, until its clients were sent to the new one."""
        return self.at_s(Step.DEMOTED) - self.at_s(Step.HELD)

    def at_s(self, step: Step) -> float:
        """Return when a step was reached, in seconds from the start; the end, where it was not."""
        return next((each.elapsed_s for each in self.steps if each.step is step), self.steps[-1].elapsed_s)


class SwitchoverError(Exception):
    """The switchover was not done, or not as planned; the message says in which state everything is."""


class SwitchoverRefused(SwitchoverError):
    """Nothing was touched, because something is wrong already."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("No switchover was begun. " + " ".join(map(str, findings)))
        self.findings = tuple(findings)


class SwitchoverFailed(SwitchoverError):
    """It was begun and given up; writes go on."""


class SwitchoverInterrupted(SwitchoverFailed):
    """Ctrl-C was pressed while it ran."""
