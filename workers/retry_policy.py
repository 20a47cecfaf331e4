"""When a command to Redis is tried again, and when no more: every loop of a worker goes by this policy; and what it
logs meanwhile.

Waits are jittered, exponential and capped, and end at once when the watcher sees the master move or when
the worker is asked to stop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sentinel import TRANSIENT, Backoff, Backpressure, MasterLink, PermanentError
from workers.health.pulse import PulseFile

log = logging.getLogger(__name__)

Result = TypeVar("Result")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
NOTICE_STOP_WITHIN_S = 0.5
LOG_AGAIN_AFTER_S = 60.0
# Shorter than this is a reconnect or a failover, not an outage, and is not logged: with the shipped times a failover
# takes some six seconds, and the line that the master has moved tells it. From ten seconds on requests are refused.
SHORTEST_OUTAGE_S = 8.0
# No failover mends a Redis without room.
SHORTEST_SHORTAGE_S = 0.5
# What a state of Redis may raise; anything else is a mistake of ours.
STATES_OF_REDIS = (*TRANSIENT, Backpressure, PermanentError)


class Stopping(Exception):
    """The worker was asked to stop, and the time it had left for this is over."""


class RetryPolicy:
    """Shared by the loops of one worker; safe for threads."""

    def __init__(self, link: MasterLink, outage: Outage, pulse: PulseFile) -> None:
        self.link = link
        self.outage = outage
        self.pulse = pulse
        self._asked_to_stop = False
        self._stop = threading.Event()
        self._gives_up_at: float | None = None

    def ask_to_stop(self) -> None:
        """Let whoever waits give up soon. Only sets a flag, so a signal handler may call it: it takes no lock."""
        self._asked_to_stop = True

    def stop(self, grace_s: float) -> None:
        """Let nobody wait for longer than `grace_s` seconds from now."""
        self._gives_up_at = time.monotonic() + grace_s
        self._asked_to_stop = True
        self._stop.set()
        self.link.failover_signal.announce(ends_hold=False)

    @property
    def stopping(self) -> bool:
        """Return whether somebody asked the worker to stop."""
        return self._asked_to_stop

    def until_it_works(
        self,
        operation: Callable[[], Result],
        *,
        also_while_stopping: bool = False,
        outage: Outage | None = None,
    ) -> Result:
        """Run an operation that is safe to repeat, again and again, until Redis lets it work; return its result.

        Args:
            operation: what to do.
            also_while_stopping: whether it is tried for the rest of the time when the worker stops.
            outage: who is told how it goes; by default what all loops that send mails share. A side thread has one of
                its own, since what keeps failing there says nothing of theirs.

        Raises:
            Stopping: the worker stops, and the rest of the time was not enough.
        """
        outage = outage or self.outage
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            self.pulse.moves()
            seen = self.link.failover_signal.count()
            try:
                result = operation()
            except STATES_OF_REDIS as error:
                outage.failed(error)
                self._give_up_if_stopping(error, also_while_stopping=also_while_stopping)
                if self._wait_for_change(seen, backoff.next_s()):
                    backoff.reset()
            else:
                outage.worked()
                return result

    def pause(self, duration_s: float) -> bool:
        """Wait; return whether the worker should stop."""
        return self._stop.wait(duration_s)

    def pause_until_moved(self, duration_s: float) -> None:
        """Wait, at most until the master moves or the worker should stop."""
        self._wait_for_change(self.link.failover_signal.count(), duration_s)

    def _give_up_if_stopping(self, error: Exception, *, also_while_stopping: bool) -> None:
        if not self.stopping:
            return
        time_is_up = self._gives_up_at is not None and time.monotonic() >= self._gives_up_at
        if time_is_up or not also_while_stopping:
            raise Stopping from error

    def _wait_for_change(self, seen: int, wait_s: float) -> bool:
        """Wait, in short pieces since a flag wakes nobody; return whether the master moved meanwhile."""
        ends_at = time.monotonic() + (min(wait_s, NOTICE_STOP_WITHIN_S) if self.stopping else wait_s)
        while (remaining_s := ends_at - time.monotonic()) > 0:
            if self.link.failover_signal.wait(seen, min(remaining_s, NOTICE_STOP_WITHIN_S)):
                return True
            if self.stopping:
                return False
        return False


class Outage:
    """Whether Redis is away, since when, and when it was last back; safe for threads.

    All threads of a worker report here, so that five of them do not log the same thing five times. It is more than a
    `verifier.logs.ThrottledLog`: it is silent on a short reconnect, logs an error that an operator must mend at once, and
    logs the end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, what: str = "") -> None:
        """Begin without one; `what` names in the log whom it concerns, where that is not the whole worker."""
        self._clock = clock
        self._what = f"{what}: " if what else ""
        self._lock = threading.Lock()
        self._since: float | None = None
        self._logged_at: float | None = None
        self._kind: type[Exception] | None = None

    def failed(self, error: Exception) -> None:
        """Note that a command failed because of a state of Redis."""
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since, self._logged_at, self._kind = now, None, None
            if self._is_to_be_logged(error, now):
                self._logged_at, self._kind = now, type(error)
                log.log(
                    _level(error),
                    "%s%s (waiting for %.0f s so far): %s",
                    self._what,
                    _headline(error),
                    now - self._since,
                    error,
                )

    def worked(self) -> None:
        """Note that a command worked."""
        if not self.is_on():
            return
        with self._lock:
            if self._since is None:
                return
            now = self._clock()
            if self._logged_at is not None:
                log.warning("%sRedis is back after %.1f s.", self._what, now - self._since)
            self._since = None

    def is_on(self) -> bool:
        """Return whether nothing has worked since the last failure."""
        return self._since is not None

    def _is_to_be_logged(self, error: Exception, now: float) -> bool:
        permanent = isinstance(error, PermanentError)
        if self._logged_at is None:
            shortest_s = SHORTEST_SHORTAGE_S if isinstance(error, Backpressure) else SHORTEST_OUTAGE_S
            return permanent or now - (self._since or now) >= shortest_s
        if permanent and self._kind is not type(error):
            return True
        return now - self._logged_at >= LOG_AGAIN_AFTER_S


def _headline(error: Exception) -> str:
    if isinstance(error, PermanentError):
        return "Redis can't be used until an operator acts"
    if isinstance(error, Backpressure):
        return "Redis has no room"
    return "Redis can't be reached"


def _level(error: Exception) -> int:
    return logging.ERROR if isinstance(error, PermanentError | Backpressure) else logging.WARNING
