"""One testbed for all chaos tests: topology, web, workers and a recording mail server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from verifier.drill.fault_context import Pace
from verifier.drill.faults import FAULTS
from verifier.drill.outcome import Outcome
from verifier.drill.rig.systems import verifier
from verifier.drill.rig.testbed import DrillTestbed
from verifier.drill.round import Round

RATE = 20.0
SHORT = Pace(
    before_s=1.0,
    after_s=1.0,
    dead_s=1.0,
    down_s=6.0,
    blind_s=4.0,
    late_s=10.0,
    relay_down_s=4.0,
    full_s=4.0,
    rotations=1,
    heals_by_itself=False,
    settle_s=30.0,
)


@pytest.fixture(scope="module")
def testbed() -> Iterator[DrillTestbed]:
    """The testbed; each round heals it before it begins."""
    with DrillTestbed(verifier(), workers=2, down_after_ms=1500) as running:
        yield running
    running.forget_logs()


@pytest.fixture
def drill(testbed: DrillTestbed) -> Callable[..., Outcome]:
    """Run one fault, small; keywords change the pace."""
    return lambda name, **pace: Round(testbed, FAULTS[name], RATE, replace(SHORT, **pace)).run()
