"""Trying until it works: what every loop of a worker does around every command to Redis.

Waits are jittered, exponential and capped, and end at once when the watcher sees the master move or when
the worker is asked to stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sentinel import TRANSIENT, Backoff, Backpressure, MasterLink, PermanentError
from workers.outage import Outage

Result = TypeVar("Result")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
NOTICE_STOP_WITHIN_S = 0.5
# What a state of Redis may raise; anything else is a mistake of ours.
STATES_OF_REDIS = (*TRANSIENT, Backpressure, PermanentError)


class Stopping(Exception):
    """The worker was asked to stop, and the time it had left for this is over."""


class RetryPolicy:
    """Shared by the loops of one worker; safe for threads."""

    def __init__(self, link: MasterLink, outage: Outage) -> None:
        self.link = link
        self.outage = outage
        self._asked_to_stop = False
        self._stop = threading.Event()
        self._gives_up_at: float | None = None

    def ask_to_stop(self) -> None:
        """Have whoever waits give up soon. Only sets a flag, so a signal handler may call it: it takes no lock."""
        self._asked_to_stop = True

    def stop(self, grace_s: float) -> None:
        """Let nobody wait for longer than `grace_s` seconds from now."""
        self._gives_up_at = time.monotonic() + grace_s
        self._asked_to_stop = True
        self._stop.set()
        self.link.failover_signal.announce(ends_hold=False)

    @property
    def stopping(self) -> bool:
        """Tell whether somebody asked the worker to stop."""
        return self._asked_to_stop

    def until_it_works(self, operation: Callable[[], Result], *, also_while_stopping: bool = False) -> Result:
        """Do something that is safe to repeat, again and again, until Redis lets it work.

        Raises:
            Stopping: the worker stops, and the rest of the time was not enough.
        """
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            seen = self.link.failover_signal.count()
            try:
                result = operation()
            except STATES_OF_REDIS as error:
                self.outage.failed(error)
                self._give_up_if_stopping(error, also_while_stopping=also_while_stopping)
                if self._wait_for_change(seen, backoff.next_s()):
                    backoff.reset()
            else:
                self.outage.worked()
                return result

    def pause(self, duration_s: float) -> bool:
        """Wait; tell whether the worker should stop."""
        return self._stop.wait(duration_s)

    def _give_up_if_stopping(self, error: Exception, *, also_while_stopping: bool) -> None:
        if not self.stopping:
            return
        time_is_up = self._gives_up_at is not None and time.monotonic() >= self._gives_up_at
        if time_is_up or not also_while_stopping:
            raise Stopping from error

    def _wait_for_change(self, seen: int, wait_s: float) -> bool:
        """Wait, in short pieces since a flag wakes nobody; tell whether the master moved meanwhile."""
        ends_at = time.monotonic() + (min(wait_s, NOTICE_STOP_WITHIN_S) if self.stopping else wait_s)
        while (remaining_s := ends_at - time.monotonic()) > 0:
            if self.link.failover_signal.wait(seen, min(remaining_s, NOTICE_STOP_WITHIN_S)):
                return True
            if self.stopping:
                return False
        return False
