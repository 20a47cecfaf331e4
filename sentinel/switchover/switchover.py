"""The planned switchover: another node becomes the master, and no acknowledged write is lost.

A bare `SENTINEL FAILOVER` leaves the old master writable for some ten seconds, and what it accepts then is
thrown away. So the old master's writes are held first. The life of a switchover:

    held      the old master takes no more writes (sentinel/switchover/write_pause.py)
    in sync   every replica Sentinel may choose has all that was written: the choice is Sentinel's, unless somebody names
              one; then it is kept from the others (sentinel/switchover/choice.py)
    ordered   SENTINEL FAILOVER
    promoted  a replica says it is a master now; the other replicas are sent to it at once
    decided   Sentinel has noticed the promotion and made it its configuration
    demoted   in one transaction the old one follows the new, remembers it, and hangs up on its clients; before
              the other sentinels ask for its role, since they then believe for ten seconds what they hear
    released  the hold is over
    proved    the new master took a write of the app's, and its replicas have it
    settled   the old one is in sync again and every sentinel agrees

Whatever fails, or Ctrl-C, ends the hold (sentinel/switchover/rollback.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from redis import ResponseError

from sentinel.access import Access, WriteProbe
from sentinel.endpoints import Endpoint
from sentinel.errors import PermanentError
from sentinel.switchover.choice import Choice, refusals_to
from sentinel.switchover.report import (
    Journal,
    Report,
    Step,
    SwitchoverFailed,
    SwitchoverInterrupted,
    SwitchoverRefused,
    SwitchoverResult,
)
from sentinel.switchover.rollback import RollBack
from sentinel.switchover.steps import Steps
from sentinel.switchover.write_pause import WritePause
from sentinel.topology.checks import refusals_of
from sentinel.topology.findings import Finding
from sentinel.topology.node_commands import NodeCommands
from sentinel.topology.snapshot import Topology
from sentinel.topology.survey import commands_to, survey_with
from sentinel.topology.writes import WriteAnswer, try_write

# Shorter than the app is patient with a request (10 s): even a switchover that fails refuses nobody.
HOLD_AT_MOST_S = 8.0
SYNC_WITHIN_S = 2.0
PROVE_WITHIN_S = 15.0
SETTLE_WITHIN_S = 15.0
# How long an interrupted switchover waits for a failover that was ordered already; it takes about a second.
INTERRUPTED_GRACE_S = 3.0
POLL_EVERY_S = 0.01
Found = TypeVar("Found")


def rehearse_switchover(access: Access, to: Endpoint | None = None) -> tuple[Topology, list[Finding]]:
    """Look at everybody, and have them say whether they would take the orders; nothing is ordered.

    Returns:
        the topology, and what forbids the switchover; nothing where it could begin.
    """
    with commands_to(access) as (sentinels, nodes):
        topology = survey_with(sentinels, nodes, access)
        try:
            return topology, Switchover(topology, sentinels, nodes, to=to).refusals()
        except SwitchoverRefused as refused:
            return topology, list(refused.findings)


def switch_over(
    access: Access,
    *,
    to: Endpoint | None = None,
    report: Report = lambda _: None,
    hold_at_most_s: float = HOLD_AT_MOST_S,
) -> SwitchoverResult:
    """Make Sentinel promote a replica, without losing an acknowledged write.

    Args:
        access: the sentinels and nodes, with the operators' logins.
        to: which replica; None leaves the choice to Sentinel.
        report: is called with each step as it is reached, while writes are held: it must be quick.
        hold_at_most_s: for how long writes are held in all before it is given up.

    Raises:
        SwitchoverRefused: something is wrong already; nothing was touched.
        SwitchoverFailed: it was begun and given up; the message says in which state everything is.
        SwitchoverInterrupted: the same, because of Ctrl-C. A second one leaves the hold to end by itself.
    """
    with commands_to(access) as (sentinels, nodes):
        topology = survey_with(sentinels, nodes, access)
        switchover = Switchover(
            topology,
            sentinels,
            nodes,
            to=to,
            report=report,
            hold_at_most_s=hold_at_most_s,
            probe=access.probe,
            try_write=partial(try_write, tls=access.tls),
        )
        return switchover.run()


class Switchover:
    """One switchover of a surveyed topology; `run` it once."""

    def __init__(
        self,
        topology: Topology,
        sentinels: NodeCommands,
        nodes: NodeCommands,
        *,
        to: Endpoint | None = None,
        report: Report = lambda _: None,
        hold_at_most_s: float = HOLD_AT_MOST_S,
        probe: WriteProbe | None = None,
        try_write: Callable[[Endpoint, WriteProbe], WriteAnswer] = try_write,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Touch nothing yet. Raises SwitchoverRefused where the topology forbids it."""
        refusals = refusals_of(topology) or (refusals_to(topology, to) if to else [])
        if refusals or topology.named_master is None:
            raise SwitchoverRefused(refusals)
        self._old = topology.named_master
        self._down_after_s = min(each.down_after_ms or 1000 for each in topology.answering) / 1000
        self._steps = Steps(topology, sentinels, nodes)
        self._to = to
        others = [node.endpoint for node in topology.candidates if to and node.endpoint != to]
        self._choice = Choice(nodes, topology.answering[0].run_id, others, clock, sleep)
        self._write_pause = WritePause(nodes, self._old, clock)
        self._journal = Journal(report, clock)
        self._probe, self._try_write = probe, try_write
        self._clock, self._sleep, self._hold_at_most_s = clock, sleep, hold_at_most_s
        self._give_up_at = 0.0
        self._ordered = False

    def refusals(self) -> list[Finding]:
        """Return who would not take the orders; nothing is ordered for it."""
        return [*self._steps.refusals(self._old), *self._choice.refusals()]

    def run(self) -> SwitchoverResult:
        """Do it. Raises as `switch_over` does."""
        if refusals := self.refusals():
            raise SwitchoverRefused(refusals)
        try:
            self._hold_until_in_sync()
            new = self._promote()
            self._demote(new)
            self._release()
            self._prove(new)
            self._settle(new)
        except KeyboardInterrupt:
            message = self._roll_back("it was interrupted", INTERRUPTED_GRACE_S)
            raise SwitchoverInterrupted(message) from None
        except Exception as error:
            raise SwitchoverFailed(self._roll_back(str(error))) from error
        except BaseException:
            self._roll_back("this process was ended")
            raise
        steps, notes = tuple(self._journal.steps), tuple(self._journal.notes)
        proved = self._probe is None or any(each.step is Step.PROVED for each in steps)
        return SwitchoverResult(self._old, new, steps, notes, proved)

    def _hold_until_in_sync(self) -> None:
        """Hold writes until all candidates have everything.

        Sentinel's own hello to the old master waits behind the hold, and its pings wait behind the hello: so
        this takes no longer than half the time after which the sentinels would take the old master for down.
        """
        self._write_pause.hold()
        self._give_up_at = self._clock() + self._hold_at_most_s
        self._journal.reached(Step.HELD, f"{self._old} holds its writes.")
        offset = self._steps.written(self._old)
        self._await(
            lambda: self._steps.are_in_sync(offset),
            min(self._give_up_at, self._clock() + min(SYNC_WITHIN_S, self._down_after_s / 2)),
            "a replica did not catch up with the master in time; try again when there is less to write",
        )
        names = " and ".join(map(str, self._steps.candidates))
        self._journal.reached(Step.IN_SYNC, f"{names} have everything up to byte {offset}.")

    def _promote(self) -> Endpoint:
        self._choice.leave_one(self._write_pause.keep)
        self._order()
        problem = "no replica was promoted in time; read the sentinels' logs"
        new = self._await(self._steps.promoted, self._give_up_at, problem)
        self._steps.redirect(new)
        if self._to not in {None, new}:
            self._journal.notes.append(
                f"Sentinel chose {new} in place of {self._to}. Nothing is lost by that; run it again to move on."
            )
        self._journal.reached(Step.PROMOTED, f"{new} is a master, and the other replicas are sent to it.")
        problem = f"Sentinel did not decide for {new}; read the sentinels' logs"
        decided = self._await(lambda: self._steps.decided(self._old), self._give_up_at, problem)
        self._journal.reached(Step.DECIDED, f"Sentinel has decided for {decided}.")
        return decided

    def _order(self) -> None:
        self._ordered = True  # with an answer that gets lost, it may be
        try:
            self._steps.order()
        except (ResponseError, PermanentError):  # an answer, and it is no
            self._ordered = False
            raise
        self._journal.reached(Step.ORDERED, "Sentinel was ordered to fail over.")

    def _demote(self, new: Endpoint) -> None:
        if note := self._steps.demote(self._old, new):
            self._journal.notes.append(note)
        self._journal.reached(
            Step.DEMOTED, f"{self._old} follows {new} and has closed the connections of its clients."
        )

    def _release(self) -> None:
        if lapsed_s := self._write_pause.lapsed_s():
            self._journal.notes.append(
                f"The hold may have run out for {lapsed_s:.1f} s, and what {self._old} accepted then without "
                "waiting for a replica may be lost. Run the next switchover from a less busy machine."
            )
        if problem := self._write_pause.try_release():
            self._journal.notes.append(problem)
        self._journal.reached(Step.RELEASED, "The hold on writes is over.")

    def _prove(self, new: Endpoint) -> None:
        """Write once, until it is taken: the replicas may need a moment before they count."""
        if self._probe is None:
            return
        ends_at = self._clock() + PROVE_WITHIN_S
        while not (answer := self._try_write(new, self._probe)).taken and self._clock() < ends_at:
            self._sleep(POLL_EVERY_S)
        if answer.taken:
            confirmed = "" if answer.acknowledged is None else f", and {answer.acknowledged} replicas have it"
            self._journal.reached(Step.PROVED, f"{new} took a write{confirmed}.")
            return
        why = "no login of the app is in the settings" if answer.anonymous else _sentence_of(answer)
        self._journal.notes.append(f"{new} is the master, but no write proved that it takes any: {why}")

    def _settle(self, new: Endpoint) -> None:
        ends_at = self._clock() + SETTLE_WITHIN_S
        try:
            self._await(lambda: self._steps.is_settled(self._old, new), ends_at, "not settled")
        except TimeoutError:
            self._journal.notes.append(
                f"After {SETTLE_WITHIN_S:.0f} s {self._old} is not in sync with {new}, or not all sentinels agree: "
                f"read the log of {self._old} and look at the topology."
            )
        else:
            message = f"{self._old} is in sync with {new}, and all sentinels agree."
            self._journal.reached(Step.SETTLED, message)

    def _await(self, find: Callable[[], Found | None], until: float, problem: str) -> Found:
        """Ask until there is an answer, keeping the hold where there is one. Raises TimeoutError."""
        while not (found := find()):
            if self._clock() >= until:
                raise TimeoutError(problem)
            self._write_pause.keep()
            self._sleep(POLL_EVERY_S)
        return found

    def _roll_back(self, reason: str, grace_s: float = 0.0) -> str:
        rollback = RollBack(self._steps, self._write_pause, self._old, self._clock, self._sleep)
        done = any(each.step is Step.DEMOTED for each in self._journal.steps)
        return rollback.run(reason, ordered=self._ordered, done=done, grace_s=grace_s)


def _sentence_of(answer: WriteAnswer) -> str:
    if answer.refusal is not None:
        return f"{(answer.error or answer.refusal).rstrip('. ')}."
    return f"{answer.acknowledged or 0} of {answer.needed} replicas confirmed it."
