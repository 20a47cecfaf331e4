"""When recovery may take a lease back, and how much it does at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sentinel import TransientError
from tests.support.clock import Clock
from verifier.store.deliveries import LEASE_S
from workers.recovery import BATCH, Recovery
from workers.retry_policy import Outage


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


def _recovery(owed: Owed, outage: Outage) -> Recovery:
    container: Any = SimpleNamespace(
        link=SimpleNamespace(redis=None), deliveries=owed, retry_policy=SimpleNamespace(outage=outage)
    )
    return Recovery(container)


def test_an_expired_lease_means_a_dead_worker() -> None:
    """Where Redis was never away."""
    owed = Owed(1)
    assert _recovery(owed, Outage()).run() == 1
    assert owed.reclaimed == [True]


@pytest.mark.parametrize(("back_for_s", "may"), [(0, False), (LEASE_S, False), (LEASE_S + 0.1, True)])
def test_after_an_outage_the_living_get_the_time_of_a_lease(back_for_s: float, may: bool) -> None:
    """Nobody could renew or settle anything meanwhile."""
    clock = Clock()
    outage = Outage(clock)
    outage.failed(TransientError("x"))
    clock.now += 60
    owed = Owed(1)
    _recovery(owed, outage).run()
    outage.worked()
    clock.now += back_for_s
    owed.left = 1
    _recovery(owed, outage).run()
    assert owed.reclaimed == [False, may]


def test_nothing_is_asked_for_where_nothing_is_overdue() -> None:
    """One look a second is all it costs."""
    owed = Owed(0)
    assert _recovery(owed, Outage()).run() == 0
    assert owed.reclaimed == []


@pytest.mark.parametrize(
    ("owed", "requeued"), [(BATCH - 1, BATCH - 1), (BATCH + 1, BATCH + 1), (50 * BATCH, 10 * BATCH)]
)
def test_much_is_done_in_batches_and_not_all_at_once(owed: int, requeued: int) -> None:
    """Leases must be renewed in between."""
    assert _recovery(Owed(owed), Outage()).run() == requeued
