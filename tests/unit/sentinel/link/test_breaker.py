"""The circuit breaker, with a clock that the test moves."""

from __future__ import annotations

import pytest

from sentinel.errors import TRANSIENT, CircuitOpen
from sentinel.link.breaker import Breaker
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    """The breaker's clock."""
    return Clock(0.0)  # as some monotonic clocks begin


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker that opens after ten seconds."""
    return Breaker(10, probe_every_s=1, clock=clock)


def _admitted(breaker: Breaker, how_many: int = 5) -> int:
    admitted = 0
    for _ in range(how_many):
        try:
            breaker.admit()
        except CircuitOpen:
            continue
        admitted += 1
    return admitted


def test_everybody_tries_while_all_is_well(breaker: Breaker) -> None:
    """Nothing is counted."""
    assert _admitted(breaker) == 5


def test_everybody_tries_at_the_beginning_of_an_outage(breaker: Breaker, clock: Clock) -> None:
    """Until it opens, counted from the first failure."""
    breaker.failed()
    clock.now = 9.9
    breaker.failed()
    assert _admitted(breaker) == 5
    clock.now = 10
    assert _admitted(breaker) < 5


def test_one_caller_a_second_probes_a_long_outage(breaker: Breaker, clock: Clock) -> None:
    """The others are refused at once, and hear how long it has lasted."""
    breaker.failed()
    clock.now = 10
    assert _admitted(breaker) == 1
    clock.now = 10.9
    assert _admitted(breaker) == 0
    clock.now = 11
    assert _admitted(breaker) == 1
    with pytest.raises(CircuitOpen, match="not answered for 11 s") as refusal:
        breaker.admit()
    assert isinstance(refusal.value, TRANSIENT)


def test_one_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    """For everybody, and the next outage is counted anew."""
    breaker.failed()
    clock.now = 20
    breaker.worked()
    assert _admitted(breaker) == 5
    breaker.failed()
    clock.now = 29
    assert _admitted(breaker) == 5


def test_a_reason_to_look_lets_one_through(breaker: Breaker, clock: Clock) -> None:
    """As when the master moved: the next probe does not wait."""
    breaker.failed()
    clock.now = 10
    assert _admitted(breaker) == 1
    breaker.reconsider()
    assert _admitted(breaker) == 1
