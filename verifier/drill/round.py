"""One round: load, a fault, load until all is whole again, and the count."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from redis.exceptions import RedisError

from sentinel.local import TopologyError
from verifier.drill import counting, verdicts
from verifier.drill.alarm import Alarm
from verifier.drill.events import Events
from verifier.drill.faults import Fault
from verifier.drill.load import CLIENT_TIMEOUT_S, Load
from verifier.drill.mail_recorder import RecordedMail
from verifier.drill.outcome import Moments, Outcome
from verifier.drill.scene import Pace, Scene
from verifier.drill.stage import Stage
from verifier.drill.wait import Waiter

WHOLE_WITHIN_S = 60.0


class Round:
    """One fault on a running stage."""

    def __init__(self, stage: Stage, fault: Fault, rate: float, pace: Pace) -> None:
        self.load = Load(stage.service.port, secrets.token_hex(3), rate)
        self._stage = stage
        self._fault = fault
        self._rate = rate
        self._pace = pace
        self._alarm = Alarm(stage.logs)
        self._waiter = Waiter(self._alarm.look)
        self._first_mail = len(stage.recorder.mails)

    @property
    def mails(self) -> list[RecordedMail]:
        """The mails that came since the round began."""
        return self._stage.recorder.mails[self._first_mail :]

    def run(self, waiter: Waiter) -> Outcome:
        """Run it to its end; `waiter` is for those who want to see how it goes.

        Raises:
            TopologyError: the topology was not whole to begin with, or the fault found no master.
        """
        self._waiter = waiter.also(self._alarm.look)
        self._stage.make_whole()
        began = time.monotonic()
        with Events(self._stage.topology) as events:
            scene = Scene(
                topology=self._stage.topology,
                service=self._stage.service,
                load=self.load,
                events=events,
                waiter=self._waiter,
                pace=self._pace,
            )
            healthy = self._put_under_load(scene)
            owed = self._await_the_last_mail()
            switches = tuple(events.switches(scene.fault_at))
        moments = Moments(began, scene.fault_at, switches, scene.relieved_at, time.monotonic())
        return self._outcome(scene, moments, owed=owed, healthy=healthy)

    def _put_under_load(self, scene: Scene) -> bool:
        sending = self._stage.loop.start(self.load.run())
        try:
            self._waiter.for_s(self._pace.before_s)
            self._fault.act(scene)
            if not self._pace.heals_by_itself:
                self._stage.topology.heal()
            healthy = self._waiter.until(self._is_whole, WHOLE_WITHIN_S)
            self._waiter.for_s(self._pace.after_s)
        finally:
            self.load.resume()
            self.load.stop()
        self._waiter.until(sending.done, CLIENT_TIMEOUT_S + 5)
        return healthy

    def _is_whole(self) -> bool:
        return self._stage.service.is_whole() and self._stage.topology.is_healthy()

    def _await_the_last_mail(self) -> int:
        """Wait until each accepted mail came and the service says that it owes none; give what it still owes."""

        def done() -> bool:
            return counting.missing(self.load.submissions, self.mails) == 0 and self._owed() == 0

        self._waiter.until(done, self._pace.settle_s)
        return self._owed()

    def _owed(self) -> int:
        try:
            with self._stage.topology.admin(self._stage.topology.current_master()) as client:
                return sum(
                    int(client.execute_command(command, key)) for command, key in self._stage.contestant.owing
                )
        except (TopologyError, RedisError):
            return -1

    def _outcome(self, scene: Scene, moments: Moments, *, owed: int, healthy: bool) -> Outcome:
        measurement = scene.measurement
        submissions, mails = self.load.submissions, self.mails
        outcome = Outcome(
            contestant=self._stage.contestant.name,
            fault=self._fault.name,
            rate=self._rate,
            counts=counting.count(submissions, mails, moments),
            outage_s=measurement.duration_s if measurement else 0.0,
            costs=measurement.costs if measurement else {},
            worker_exits=len(self._stage.service.ended_workers),
            owed=owed,
            told_s=self._alarm.first_after(moments.fault),
            healthy=healthy,
            trouble=scene.trouble,
            marks=moments.marks(),
            series=counting.series(submissions, mails, moments),
        )
        return replace(outcome, breaches=verdicts.judge(outcome, self._fault.promise))
