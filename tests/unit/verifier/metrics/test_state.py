"""The state of the service is read once a second, however many ask and whatever came of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from sentinel import AccessRefused, Backpressure, CircuitOpen
from tests.support.apps import FakeLink
from verifier.domain.keys import KeyRing
from verifier.metrics.state import GOOD_FOR_S, StateCollector
from verifier.settings import Settings

SETTINGS = Settings(keys=KeyRing("test", {"test": b"t" * 64}))


@pytest.mark.parametrize(
    "facts", [None, CircuitOpen("It is away."), AccessRefused("No."), Backpressure("Full.")]
)
def test_redis_is_asked_once_a_second(facts: Exception | None) -> None:
    """Also while it is away, when each look takes its two seconds."""
    link, now = FakeLink(), 0.0
    link.facts = facts or link.facts
    state = StateCollector(cast("Any", link), SETTINGS, clock=lambda: now)
    with ThreadPoolExecutor(8) as many:
        assert len(list(many.map(lambda _: list(state.collect()), range(50)))) == 50
    assert link.looks == 1
    now += GOOD_FOR_S
    reachable = next(iter(state.collect())).samples[0].value
    assert (reachable, link.looks) == (facts is None, 2)
