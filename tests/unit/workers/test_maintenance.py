"""The maintenance thread's rounds, without a thread and without Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from sentinel import TransientError
from workers.in_flight import InFlight
from workers.maintenance import Maintenance
from workers.recovery import Writing
from workers.smtp.relay_state import Recovered


class Away:
    """Deliveries on a Redis that is away once, while somebody wakes mails."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def wake(self, _: object, how_many: int, __: float) -> int:
        """Fail the first time."""
        self.asked.append(how_many)
        if len(self.asked) == 1:
            raise TransientError("Redis is away.")
        return 0

    def put_off(self, *_: object) -> int:
        """Nothing waits."""
        return 0

    def overdue(self, *_: object) -> list[tuple[str, int]]:
        """Nothing is due."""
        return []


def test_a_relay_that_is_back_is_not_forgotten_while_redis_is_away() -> None:
    """It says so once; the mails that waited for it would sleep on for minutes."""
    said = [Recovered.PROBED]
    relays = SimpleNamespace(take_recovered=lambda: said.pop() if said else None)
    deliveries = Away()
    container = SimpleNamespace(
        deliveries=deliveries, writing=Writing(), relays=relays, link=SimpleNamespace(redis=None)
    )
    maintenance = Maintenance(cast("Any", container), InFlight(1), "a worker", lambda: None)
    with pytest.raises(TransientError):
        maintenance._recover()
    for _ in range(2):
        maintenance._recover()
    assert deliveries.asked == [1, 1]


def test_a_mistake_in_the_metrics_costs_no_heartbeat() -> None:
    """The thread that renews leases goes on, or each mail in flight would be sent twice."""
    said: list[bool] = []
    policy = SimpleNamespace(
        outage=SimpleNamespace(is_on=lambda: False),
        pulse=SimpleNamespace(write=lambda *, waiting: said.append(waiting)),
    )
    # Without `metrics`, so that looking at them fails.
    container = SimpleNamespace(
        deliveries=None, writing=Writing(), relays=None, link=SimpleNamespace(redis=None), retry_policy=policy
    )
    Maintenance(cast("Any", container), InFlight(1), "a worker", lambda: None)._beat()
    assert said == [False]
