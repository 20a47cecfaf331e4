"""The circuit breaker, with a clock that the test moves."""

from __future__ import annotations

import pytest

from sentinel.errors import TRANSIENT, CircuitOpen
from sentinel.link.breaker import OVER_AFTER_S, Breaker
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    """The breaker's clock."""
    return Clock(0.0)  # as some monotonic clocks begin


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker that opens after ten seconds."""
    return Breaker(10, probe_every_s=1, clock=clock)


def _fails_until(breaker: Breaker, clock: Clock, ends_at: float) -> None:
    """Have somebody fail each second until then, and right then."""
    while clock.now < ends_at:
        breaker.failed(clock.now)
        clock.now = min(clock.now + 1, ends_at)
    breaker.failed(clock.now)


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
    _fails_until(breaker, clock, 9.9)
    assert _admitted(breaker) == 5
    clock.now = 10
    assert _admitted(breaker) < 5


def test_one_caller_a_second_probes_a_long_outage(breaker: Breaker, clock: Clock) -> None:
    """The others are refused at once, and hear how long it has lasted."""
    _fails_until(breaker, clock, 10)
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
    _fails_until(breaker, clock, 20)
    breaker.worked()
    assert _admitted(breaker) == 5
    _fails_until(breaker, clock, 29)
    assert _admitted(breaker) == 5


def test_a_reason_to_look_lets_one_through(breaker: Breaker, clock: Clock) -> None:
    """As when the master moved: the next probe does not wait."""
    _fails_until(breaker, clock, 10)
    assert _admitted(breaker) == 1
    breaker.reconsider()
    assert _admitted(breaker) == 1


def test_one_old_failure_refuses_nobody(breaker: Breaker, clock: Clock) -> None:
    """A look that failed a quarter of a minute ago tells nothing of now, even if nobody came since."""
    breaker.failed(clock.now)
    clock.now = 15
    assert _admitted(breaker, 12) == 12


def test_an_outage_counts_from_its_own_beginning(breaker: Breaker, clock: Clock) -> None:
    """Not from a failure while everything was starting: whoever comes now is kept waiting for as long as ever."""
    breaker.failed(clock.now)
    clock.now = 100
    breaker.failed(clock.now)
    assert _admitted(breaker, 500) == 500
    _fails_until(breaker, clock, 109.9)
    assert _admitted(breaker, 500) == 500
    clock.now = 110
    assert _admitted(breaker) == 1


def test_a_hung_redis_keeps_it_open(breaker: Breaker, clock: Clock) -> None:
    """A probe takes longer to fail there than a failure speaks for the present, and it is sent each second."""
    _fails_until(breaker, clock, 10)
    takes_s = OVER_AFTER_S + 1.5
    probes: list[float] = []
    for second in range(11, 40):
        clock.now = second
        for began_at in [each for each in probes if clock.now >= each + takes_s]:
            probes.remove(began_at)
            breaker.failed(began_at)
        assert _admitted(breaker) == 1
        probes.append(clock.now)


def test_attempts_that_take_long_are_one_outage(breaker: Breaker, clock: Clock) -> None:
    """One caller alone on a hung Redis: each attempt began soon after the last one failed."""
    for _ in range(3):
        began_at = clock.now
        clock.now += OVER_AFTER_S + 1
        breaker.failed(began_at)
    assert clock.now == 3 * (OVER_AFTER_S + 1)
    clock.now += 2
    assert _admitted(breaker) == 1


def test_whoever_is_refused_is_told_the_newest_reason(breaker: Breaker, clock: Clock) -> None:
    """It names the node that does not answer, which is what an operator wants to know of an outage."""
    _fails_until(breaker, clock, 11)
    breaker.failed(clock.now, "10.0.0.1:6379 does not answer.")
    breaker.admit()  # the probe
    with pytest.raises(CircuitOpen, match=r"not answered for 11 s\. 10\.0\.0\.1:6379 does not answer\.$"):
        breaker.admit()
