"""Giving up a planned switchover: the hold ends, and a message says in which state everything is.

A failover that was ordered can't be called back. Where Sentinel has decided for a new master, the old one is
demoted before its writes go on. Where it has not, the old one stays the master and gets its replicas back; a node that
was promoted nevertheless is left to Sentinel, which either makes it a replica again or decides for it later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.switchover.steps import Steps
from sentinel.switchover.write_pause import WritePause

POLL_EVERY_S = 0.02


@dataclass(frozen=True)
class RollBack:
    """The way back from wherever a switchover is."""

    steps: Steps
    write_pause: WritePause
    old: Endpoint
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def run(self, reason: str, *, ordered: bool, done: bool, grace_s: float) -> str:
        """End the hold, and return what went wrong and in which state everything is now.

        Args:
            reason: why it is given up.
            ordered: a failover was ordered, or nobody knows.
            done: the old master was demoted already.
            grace_s: for how many seconds an ordered failover is waited for.
        """
        try:
            state = self._state(ordered=ordered, done=done, grace_s=grace_s)
        finally:  # whatever happens in there, a second Ctrl-C for one
            problem = self.write_pause.try_release()
        sentences = [f"The switchover was given up: {reason.rstrip('. ')}.", state, problem]
        return " ".join(each for each in sentences if each)

    def _state(self, *, ordered: bool, done: bool, grace_s: float) -> str:
        if done:
            return f"The master had moved by then, and {self.old} is a replica: look at the topology."
        if not ordered:
            return f"{self.old} is still the master, and nothing was changed."
        new = self._decided(grace_s)
        if new is None:
            self.steps.redirect(self.old)
            return (
                f"{self.old} is still the master, but Sentinel was ordered to fail over and may yet do so: look at the "
                "topology before you try again."
            )
        try:
            self.steps.demote(self.old, new)
        except RedisError as error:
            return (
                f"{new} is the master, but {self.old} could not be made its replica ({error}). Sentinel does so "
                f"within some ten seconds; what is written to {self.old} until then is lost."
            )
        warning = (
            ""
            if new in self.steps.candidates
            else " It was not seen to have all data before: compare the data of both."
        )
        return f"The failover was completed all the same: {new} is the master, and {self.old} follows it.{warning}"

    def _decided(self, grace_s: float) -> Endpoint | None:
        until = self.clock() + grace_s
        while (new := self.steps.decided(self.old)) is None and self.clock() < until:
            with suppress(RedisError):
                self.write_pause.keep()
            self.sleep(POLL_EVERY_S)
        return new
