"""Giving up a planned switchover: the hold ends, and a message says in which state everything is.

A failover that was ordered can't be called back. Where Sentinel has decided for a new master, the old one is
demoted before its writes go on. Where it has not, the old one stays the master and gets its replicas back; a node that
was promoted nevertheless is left to Sentinel, which either makes it a replica again or decides for it later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.switchover.steps import Steps
from sentinel.switchover.write_pause import WritePause

POLL_EVERY_S = 0.02


class RollBack:
    """The way back from wherever a switchover is."""

    def __init__(
        self,
        steps: Steps,
        write_pause: WritePause,
        old: Endpoint,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Do nothing yet."""
        self._steps = steps
        self._write_pause = write_pause
        self._old = old
        self._clock = clock
        self._sleep = sleep

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
            problem = self._write_pause.try_release()
        sentences = [f"The switchover was given up: {reason.rstrip('. ')}.", state, problem]
        return " ".join(each for each in sentences if each)

    def _state(self, *, ordered: bool, done: bool, grace_s: float) -> str:
        if done:
            return f"The master had moved by then, and {self._old} is a replica: look at the topology."
        if not ordered:
            return f"{self._old} is still the master, and nothing was changed."
        new = self._decided(grace_s)
        if new is None:
            self._steps.redirect(self._old)
            return (
                f"{self._old} is still the master, but Sentinel was ordered to fail over and may yet do so: look at the "
                "topology before you try again."
            )
        try:
            self._steps.demote(self._old, new)
        except RedisError as error:
            return (
                f"{new} is the master, but {self._old} could not be made its replica ({error}). Sentinel does so "
                f"within some ten seconds; what is written to {self._old} until then is lost."
            )
        warning = (
            ""
            if new in self._steps.candidates
            else " It was not seen to have all data before: compare the data of both."
        )
        return f"The failover was completed all the same: {new} is the master, and {self._old} follows it.{warning}"

    def _decided(self, grace_s: float) -> Endpoint | None:
        until = self._clock() + grace_s
        while (new := self._steps.decided(self._old)) is None and self._clock() < until:
            with suppress(RedisError):
                self._write_pause.keep()
            self._sleep(POLL_EVERY_S)
        return new
