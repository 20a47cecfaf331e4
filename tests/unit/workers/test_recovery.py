"""When recovery may take a lease back, and how much it does at a time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.support.clock import Clock
from verifier.store.deliveries import LEASE_S
from workers.recovery import BATCH, Recovery, Writing


class Owed:
    """So many deliveries are overdue."""

    def __init__(self, how_many: int) -> None:
        self.left = how_many
        self.reclaimed: list[bool] = []

    def put_off(self, *_: object) -> int:
        """Nothing waits in the queue."""
        return 0

    def overdue(self, _: object, how_many: int) -> list[tuple[str, int]]:
        """List some of them."""
        return [("id", 1)] * min(how_many, self.left)

    def requeue(self, _: object, overdue: list[tuple[str, int]], *, reclaim_leases: bool) -> list[str]:
        """Note what was asked for."""
        self.left -= len(overdue)
        self.reclaimed.append(reclaim_leases)
        return ["requeued"] * len(overdue)


CLIENT: Any = None


def _recovery(owed: Owed, writing: Writing | None = None) -> Recovery:
    if writing is None:
        clock = Clock()
        writing = Writing(clock)
        writing.worked()
        clock.now += LEASE_S + 1
    return Recovery(cast("Any", owed), writing)


def test_an_expired_lease_means_a_dead_worker() -> None:
    """Where this worker could write for the length of a lease."""
    owed = Owed(1)
    assert _recovery(owed).run(CLIENT) == 1
    assert owed.reclaimed == [True]


def test_who_has_just_started_takes_no_lease() -> None:
    """There may have been an outage before, in which nobody could renew."""
    owed = Owed(1)
    _recovery(owed, Writing()).run(CLIENT)
    assert owed.reclaimed == [False]


@pytest.mark.parametrize(("back_for_s", "may"), [(0, False), (LEASE_S, False), (LEASE_S + 0.1, True)])
def test_after_an_outage_the_living_get_the_time_of_a_lease(back_for_s: float, may: bool) -> None:
    """Nobody could renew or settle anything meanwhile."""
    clock = Clock()
    writing = Writing(clock)
    writing.worked()
    clock.now += 60
    writing.failed()
    owed = Owed(1)
    _recovery(owed, writing).run(CLIENT)
    writing.worked()
    clock.now += back_for_s
    owed.left = 1
    _recovery(owed, writing).run(CLIENT)
    assert owed.reclaimed == [False, may]


def test_nothing_is_asked_for_where_nothing_is_overdue() -> None:
    """One look a second is all it costs."""
    owed = Owed(0)
    assert _recovery(owed).run(CLIENT) == 0
    assert owed.reclaimed == []


@pytest.mark.parametrize(
    ("owed", "requeued"), [(BATCH - 1, BATCH - 1), (BATCH + 1, BATCH + 1), (50 * BATCH, 10 * BATCH)]
)
def test_much_is_done_in_batches_and_not_all_at_once(owed: int, requeued: int) -> None:
    """Leases must be renewed in between."""
    assert _recovery(Owed(owed)).run(CLIENT) == requeued
