"""What a fault may touch, how it waits, and the moments it notes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

<<<<<<< HEAD
from sentinel import Access, Endpoint, LocalTopology, Login, wait_for
=======
from sentinel import Endpoint
>>>>>>> 65bfc8b868e67bc3f631a3e1a2da86aa9625022b
from verifier.drill.rig.measurement import Measurement
from verifier.drill.rig.open_load import OpenLoad
from verifier.drill.rig.sentinel_events import SentinelEvents
from verifier.drill.rig.service import Service

TICK_S = 0.05


@dataclass(frozen=True)
class Pace:
    """How long each part of a fault lasts, in seconds."""

    before_s: float = 5.0
    """Load before the fault."""
    after_s: float = 5.0
    """Load after everything is whole again."""
    dead_s: float = 3.0
    """How long a killed or hung process stays so, after the service could have noticed."""
    down_s: float = 15.0
    """How long all of Redis is down."""
    blind_s: float = 10.0
    """How long all sentinels are down."""
    heals_by_itself: bool = True
    """Whether Sentinel is left to set the topology right (ten to thirty seconds) or an operator does it."""
    settle_s: float = 40.0
    """How long the last mails are waited for."""


class Waiter:
    """Waits, and calls each tick all the while."""

    def __init__(self, *ticks: Callable[[], None]) -> None:
        self._ticks = ticks

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition; False when `timeout_s` seconds were not enough."""

        def done() -> bool:
            for tick in self._ticks:
                tick()
            return condition()

        return wait_for(done, timeout_s, TICK_S)

    def for_s(self, duration_s: float) -> None:
        """Let time pass."""
        self.until(lambda: False, duration_s)


@dataclass
class FaultContext:
    """The fault's view of the testbed, and what it notes; moments in monotonic seconds, 0 where there was none."""

    topology: LocalTopology
    service: Service
    load: OpenLoad
    events: SentinelEvents
    waiter: Waiter
    pace: Pace
    fault_at: float = 0.0
    fault_ended_at: float = 0.0
    trouble: str = ""
    measurement: Measurement | None = None

    def begin(self) -> None:
        """Note that the fault happens now; measuring begins."""
        self.measure_from_here()
        self.fault_at = time.monotonic()

    def measure_from_here(self) -> None:
        """Measure the processes from now on, instead of from the fault."""
        self.measurement = Measurement(self.service)

    def end(self, attempts: Counter[tuple[str, Endpoint]] | None = None) -> None:
        """Note that the harm is undone now, as far as anybody undoes it; measuring ends."""
        self.fault_ended_at = time.monotonic()
        if self.measurement is not None:
            self.measurement.stop(attempts)

    def await_switch(self, timeout_s: float = 40.0) -> bool:
        """Wait until a sentinel announces a new master."""
<<<<<<< HEAD
        return self.waiter.until(lambda: bool(self.events.switches(self.fault_at)), timeout_s)


def operators_access(topology: LocalTopology) -> Access:
    """Return what an operator's commands need to work on the topology."""
    users = topology.credentials
    assert users is not None  # noqa: S101 - a testbed always has users
    return Access(
        sentinels=topology.sentinels,
        master_name=topology.master_name,
        node_login=Login(users.redis_ops.username, users.redis_ops.password),
        sentinel_login=Login(users.sentinel_ops.username, users.sentinel_ops.password),
    )
=======
        return self.waiter.until(lambda: bool(self._events.switches(self.fault_at)), timeout_s)
>>>>>>> 65bfc8b868e67bc3f631a3e1a2da86aa9625022b
