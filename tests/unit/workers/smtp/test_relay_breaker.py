"""When a relay that failed may be tried again."""

from __future__ import annotations

from workers.smtp.relay_breaker import Pass, RelayBreaker


def breaker() -> RelayBreaker:
    return RelayBreaker(jitter=lambda: 0.0)


def test_a_working_relay_lets_everybody_through() -> None:
    """There is nothing to wait for."""
    ours = breaker()
    assert [ours.admit(0) for _ in range(3)] == [Pass.FREE] * 3


def test_a_failed_relay_has_a_cooldown_of_five_seconds() -> None:
    """Nobody before, one probe after."""
    ours = breaker()
    assert ours.failed(0, Pass.FREE)
    assert ours.admit(4.9) is None
    assert ours.admit(5) is Pass.PROBE


def test_only_one_caller_probes_at_a_time() -> None:
    """The others go elsewhere until the probe is back."""
    ours = breaker()
    ours.failed(0, Pass.FREE)
    assert [ours.admit(6), ours.admit(6), ours.admit(7)] == [Pass.PROBE, None, None]


def test_cooldowns_double_up_to_a_minute() -> None:
    """Each failed probe makes the next cooldown longer."""
    ours, now, cooldowns = breaker(), 0.0, []
    entry = ours.admit(now)
    for _ in range(6):
        assert entry is not None
        ours.failed(now, entry)
        assert ours.open_until is not None
        cooldowns.append(ours.open_until - now)
        now = ours.open_until
        entry = ours.admit(now)
    assert cooldowns == [5, 10, 20, 40, 60, 60]


def test_eight_threads_that_fail_together_are_one_failure() -> None:
    """The later ones neither lengthen the cooldown nor begin a new one."""
    ours = breaker()
    assert [ours.failed(n / 10, Pass.FREE) for n in range(8)] == [True] + [False] * 7
    assert (ours.failures, ours.open_until) == (1, 5)


def test_a_late_failure_does_not_end_somebody_elses_probe() -> None:
    """The probe's own result counts."""
    ours = breaker()
    ours.failed(0, Pass.FREE)
    ours.admit(5)
    assert not ours.failed(6, Pass.FREE)
    ours.gave_up(Pass.FREE)
    assert ours.admit(6) is None


def test_a_probe_that_works_closes_the_breaker_and_resets_it() -> None:
    """The next failure begins with the shortest cooldown again."""
    ours = breaker()
    ours.failed(0, Pass.FREE)
    ours.admit(5)
    ours.worked()
    assert ours.admit(5) is Pass.FREE
    ours.failed(6, Pass.FREE)
    assert ours.open_until == 11


def test_a_probe_without_a_result_is_followed_by_another() -> None:
    """Its thread may have died."""
    ours = breaker()
    ours.failed(0, Pass.FREE)
    ours.admit(5)
    ours.gave_up(Pass.PROBE)
    assert ours.admit(5) is Pass.PROBE


def test_jitter_only_shortens_a_cooldown() -> None:
    """So that a mail's own retry after five seconds finds the relay in use again."""
    ours = RelayBreaker(jitter=lambda: 0.999)
    ours.failed(0, Pass.FREE)
    assert ours.open_until is not None
    assert 3.5 <= ours.open_until < 5
