"""One round: load, a fault, load until all is whole again, and the count."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from redis.exceptions import RedisError

from sentinel import TopologyError
from verifier.drill import counting, verdicts
from verifier.drill.fault_context import FaultContext, Pace, Waiter
from verifier.drill.faults import Fault
from verifier.drill.outcome import Moments, Outcome
from verifier.drill.rig.code_checks import CodeChecks
from verifier.drill.rig.log_alarm import LogAlarm
from verifier.drill.rig.mail_sink import RecordedMail
from verifier.drill.rig.open_load import CLIENT_TIMEOUT_S, OpenLoad
from verifier.drill.rig.sentinel_events import SentinelEvents
from verifier.drill.rig.testbed import DrillTestbed

WHOLE_WITHIN_S = 60.0


class Round:
    """One fault on a running testbed."""

    def __init__(self, testbed: DrillTestbed, fault: Fault, rate: float, pace: Pace) -> None:
        self.load = OpenLoad(testbed.service.port, f"drill-{secrets.token_hex(3)}", rate)
        self._testbed = testbed
        self._fault = fault
        self._rate = rate
        self._pace = pace
        self._alarm = LogAlarm(testbed.directory)
        self._waiter: Waiter
        self._first_mail = len(testbed.mail_sink.mails)
        self._checks = CodeChecks(self.load, lambda: self.mails)

    @property
    def mails(self) -> list[RecordedMail]:
        """The mails that came since the round began."""
        return self._testbed.mail_sink.mails[self._first_mail :]

    def run(self, progress: Callable[[], None] = lambda: None) -> Outcome:
        """Run it to its end; `progress` is called all the while.

        Raises:
            TopologyError: the topology was not whole to begin with, or the fault found no master.
        """
        self._waiter = Waiter(self._alarm.look, progress)
        self._testbed.make_whole()
        began = time.monotonic()
        with SentinelEvents(self._testbed.topology) as events:
            context = FaultContext(
                self._testbed.topology,
                self._testbed.service,
                self._testbed.mail_sink,
                self.load,
                events,
                self._waiter,
                self._pace,
            )
            healthy = self._put_under_load(context)
            owed = self._await_the_last_mail()
            switches = tuple(events.switches(context.fault_at))
        moments = Moments(began, context.fault_at, switches, context.fault_ended_at, time.monotonic())
        return self._outcome(context, moments, owed=owed, healthy=healthy)

    def _put_under_load(self, context: FaultContext) -> bool:
        loop = self._testbed.loop
        running = [asyncio.run_coroutine_threadsafe(self.load.run(), loop)]
        if not self._testbed.system.is_peer:  # a peer has no codes to check
            running.append(asyncio.run_coroutine_threadsafe(self._checks.run(), loop))
        try:
            self._waiter.for_s(self._pace.before_s)
            self._fault.inject(context)
            if not self._pace.heals_by_itself:
                self._testbed.topology.heal()
            healthy = self._waiter.until(self._is_whole, WHOLE_WITHIN_S)
            self._waiter.for_s(self._pace.after_s)
        finally:
            self.load.resume()
            self.load.stop()
        self._waiter.until(lambda: all(each.done() for each in running), CLIENT_TIMEOUT_S + 5)
        return healthy

    def _is_whole(self) -> bool:
        return self._testbed.service.is_whole() and self._testbed.topology.is_healthy()

    def _await_the_last_mail(self) -> int:
        """Wait until each accepted mail came and the service owes none any more; return what it still owes."""

        def done() -> bool:
            return counting.missing(self.load.submissions, self.mails) == 0 and self._owed() == 0

        self._waiter.until(done, self._pace.settle_s)
        return self._owed()

    def _owed(self) -> int:
        try:
            with self._testbed.topology.admin(self._testbed.topology.current_master()) as client:
                return sum(
                    int(client.execute_command(command, key)) for command, key in self._testbed.system.owing
                )
        except (TopologyError, RedisError):
            return -1

    def _outcome(self, context: FaultContext, moments: Moments, *, owed: int, healthy: bool) -> Outcome:
        measurement = context.measurement
        submissions, mails = self.load.submissions, self.mails
        outcome = Outcome(
            system=self._testbed.system.name,
            fault=self._fault.name,
            rate=self._rate,
            counts=counting.count(submissions, mails, moments, self._checks.done),
            outage_s=measurement.duration_s if measurement else 0.0,
            costs=measurement.costs if measurement else {},
            worker_exits=len(self._testbed.service.ended_workers),
            owed=owed,
            alarm_s=self._alarm.first_after(moments.fault),
            healthy=healthy,
            trouble=context.trouble,
            marks=moments.marks(),
            series=counting.series(submissions, mails, moments),
        )
        return replace(outcome, breaches=verdicts.judge(outcome, self._fault.promise))
