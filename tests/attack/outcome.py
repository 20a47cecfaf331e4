"""An attack, how large it is made, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.attack.target import Target


@dataclass(frozen=True)
class Scale:
    """How large the attacks are."""

    simulated_hours: int
    """So long the attacks on the limits go on, by the limits' own reckoning; 0 is a single burst."""
    requests: int
    """How many requests an attack makes that could go on for ever."""
    hangs_after_s: float
    """Without an answer for so long, a request counts as one that hangs."""
    seed: int | None
    """Of what is random; None is another one each time."""
    judges_times: bool
    """Whether an answer that takes longer than another one counts: on a busy machine that says nothing."""


@dataclass(frozen=True)
class Outcome:
    """What came of one attack: the bound that is promised, what was measured, and whether it holds."""

    bound: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Attack:
    """What a hostile client does to a running service; `run` ends by itself and raises nothing that it expects."""

    name: str
    run: Callable[[Target, Scale], Outcome]


FULL = Scale(simulated_hours=24, requests=1000, hangs_after_s=20.0, seed=None, judges_times=True)
SMALL = Scale(simulated_hours=0, requests=60, hangs_after_s=90.0, seed=1, judges_times=False)
