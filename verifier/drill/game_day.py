"""The whole drill: for each system under test a testbed, on it one round per fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from verifier.drill.fault_context import Pace
from verifier.drill.faults import Fault
from verifier.drill.outcome import Breach, Outcome
from verifier.drill.report.progress import ProgressDisplay
from verifier.drill.rig.conditions import Conditions
from verifier.drill.rig.systems import SystemUnderTest
from verifier.drill.rig.testbed import DrillTestbed
from verifier.drill.round import Round
from verifier.drill.verdicts import judge_together


@dataclass(frozen=True)
class Plan:
    """What is to be drilled."""

    faults: tuple[Fault, ...]
    systems: tuple[SystemUnderTest, ...]
    rate: float = 50.0
    workers: int = 2
    down_after_ms: int | None = 1500
    """None: the shipped one."""
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Results:
    """All outcomes; only the first system, the project itself, is held to the promises."""

    conditions: Conditions
    """What the first system ran on."""
    outcomes: tuple[Outcome, ...]
    together: tuple[Breach, ...]
    """Breaches that only several outcomes show."""
    logs: tuple[str, ...]
    """Where the logs of systems that broke a promise are kept."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not self.together and not any(each.breaches for each in self.outcomes if is_ours(each))


def is_ours(outcome: Outcome) -> bool:
    """Return whether an outcome is the project's own and not a peer's."""
    return outcome.system == "verifier"


def run(
    plan: Plan,
    progress: ProgressDisplay,
    started: Callable[[Conditions], None] = lambda _: None,
    finished: Callable[[Outcome], None] = lambda _: None,
) -> Results:
    """Run everything; `started` is called with what the first system runs on, `finished` with each outcome.

    Raises:
        RedisServerMissing, LocalStartError, TopologyError, RigError: something does not start.
    """
    outcomes: list[Outcome] = []
    logs: list[str] = []
    conditions: list[Conditions] = []

    def note(found: Conditions) -> None:
        conditions.append(found)
        if len(conditions) == 1:
            started(found)

    for system in plan.systems:
        progress.describe(f"{system.name}: starting topology, web and workers")
        testbed = DrillTestbed(system, workers=plan.workers, down_after_ms=plan.down_after_ms)
        mine = _drill(plan, testbed, progress, note, finished)
        if any(each.breaches for each in mine):
            logs.append(str(testbed.directory))
        else:
            testbed.forget_logs()
        outcomes.extend(mine)
    together = judge_together([each for each in outcomes if is_ours(each)])
    return Results(conditions[0], tuple(outcomes), together, tuple(logs))


def _drill(
    plan: Plan,
    testbed: DrillTestbed,
    progress: ProgressDisplay,
    started: Callable[[Conditions], None],
    finished: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run all rounds of one system; where that ends early, nothing is left behind."""
    outcomes = []
    try:
        with testbed:
            started(testbed.conditions())
            for fault in plan.faults:
                current = Round(testbed, fault, plan.rate, plan.pace)
                title = f"{testbed.system.name} {fault.name} at {plan.rate:g}/s"
                outcomes.append(current.run(partial(progress.follow, title, current)))
                finished(outcomes[-1])
                progress.done()
    except BaseException:
        testbed.forget_logs()
        raise
    return outcomes
