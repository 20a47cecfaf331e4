"""What a fault may touch, how it waits, and the moments it notes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sentinel import Endpoint, LocalTopology, wait_for
from verifier.drill.rig.mail_sink import MailSink
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
    late_s: float = 35.0
    """How long the relay keeps a sender waiting for an answer."""
    relay_down_s: float = 20.0
    """How long the relay is down."""
    full_s: float = 10.0
    """How long Redis refuses to grow."""
    heals_by_itself: bool = True
    """Whether Sentinel is left to set the topology right (ten to thirty seconds) or an operator does it."""
    rotations: int = 2
    """How often the secret key is rotated: web first, then workers first."""
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
    mail_sink: MailSink
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

    def await_switch(self, timeout_s: float = 40.0, *, number: int = 1) -> bool:
        """Wait until a sentinel has announced a new master, or so many of them."""
        return self.waiter.until(lambda: len(self.events.switches(self.fault_at)) >= number, timeout_s)
