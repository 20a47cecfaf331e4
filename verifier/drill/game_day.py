"""The whole drill: for each contestant a testbed, on it one round per fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from verifier.drill.fault_context import Pace
from verifier.drill.faults import Fault
from verifier.drill.outcome import Breach, Outcome
from verifier.drill.report.progress import ProgressDisplay
from verifier.drill.rig.systems import SystemUnderTest
from verifier.drill.rig.testbed import Testbed
from verifier.drill.rig.waiter import Waiter
from verifier.drill.round import Round
from verifier.drill.verdicts import judge_together


@dataclass(frozen=True)
class Plan:
    """What is to be drilled."""

    faults: tuple[Fault, ...]
    contestants: tuple[SystemUnderTest, ...]
    rate: float = 50.0
    workers: int = 2
    down_after_ms: int = 1500
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Results:
    """All outcomes; only the first contestant, the project itself, is held to the promises."""

    outcomes: tuple[Outcome, ...]
    together: tuple[Breach, ...]
    """Breaches that only several outcomes show."""
    logs: tuple[str, ...]
    """Where the logs of contestants that broke a promise are kept."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not self.together and not any(each.breaches for each in self.outcomes if is_ours(each))


def is_ours(outcome: Outcome) -> bool:
    """Tell the project's own outcomes from those of its peers."""
    return outcome.contestant == "verifier"


def run(plan: Plan, show: ProgressDisplay, finished: Callable[[Outcome], None] = lambda _: None) -> Results:
    """Run everything; `finished` hears of each outcome as it comes.

    Raises:
        RedisServerMissing, LocalStartError, TopologyError, ServiceStartError: something does not start.
    """
    outcomes: list[Outcome] = []
    logs: list[str] = []
    for contestant in plan.contestants:
        show.say(f"{contestant.name}: starting topology, web and workers")
        testbed = Testbed(contestant, workers=plan.workers, down_after_ms=plan.down_after_ms)
        mine = _drill(plan, testbed, show, finished)
        if any(each.breaches for each in mine):
            logs.append(str(testbed.logs))
        else:
            testbed.forget_logs()
        outcomes.extend(mine)
    return Results(tuple(outcomes), judge_together([each for each in outcomes if is_ours(each)]), tuple(logs))


def _drill(
    plan: Plan, testbed: Testbed, show: ProgressDisplay, finished: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run all rounds of one contestant; where that ends early, nothing is left behind."""
    outcomes = []
    try:
        with testbed:
            for outcome in _rounds(plan, testbed, show):
                finished(outcome)
                outcomes.append(outcome)
    except BaseException:
        testbed.forget_logs()
        raise
    return outcomes


def _rounds(plan: Plan, testbed: Testbed, show: ProgressDisplay) -> Iterator[Outcome]:
    for fault in plan.faults:
        title = f"{testbed.contestant.name} {fault.name} at {plan.rate:g}/s"
        current = Round(testbed, fault, plan.rate, plan.pace)
        yield current.run(Waiter(lambda: show.follow(title, current)))  # noqa: B023 - called in this turn only
        show.done()
