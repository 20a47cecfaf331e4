"""The link to the master: what app and worker hold. It wires directory, pools, watcher and retries.

Nothing connects before the first use, so a link can be made before gunicorn forks; a forked child starts
with nothing of the parent's sockets, threads and locks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TypeVar

from redis import Redis

from sentinel.access import Access
from sentinel.backoff import Backoff
from sentinel.deadline import remaining_s, request_deadline
from sentinel.endpoints import Endpoint
from sentinel.errors import (
    TRANSIENT,
    Backpressure,
    CircuitOpen,
    DeadlinePassed,
    PermanentError,
    TransientError,
)
from sentinel.link.breaker import Breaker
from sentinel.link.directory import Directory
from sentinel.link.failover_signal import FailoverSignal
from sentinel.link.master_pool import MasterPool
from sentinel.link.rogue_detector import RogueDetector
from sentinel.link.watcher import Watcher
from sentinel.master_events import MasterEvents
from sentinel.observer import LinkObserver
from sentinel.time_budget import RequestDeadline, TimeBudget

log = logging.getLogger(__name__)

Result = TypeVar("Result")
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0


class MasterLink:
    """A process's way to the master, wherever it goes. Safe for threads and forks."""

    def __init__(
        self,
        access: Access,
        *,
        deadline_s: float = 10.0,
        watch: bool = True,
        observer: LinkObserver | None = None,
    ) -> None:
        """Connect to nobody yet.

        Args:
            access: how to reach the sentinels and the nodes.
            deadline_s: for how many seconds `run` tries by default; an outage that lasts longer opens the circuit.
            watch: whether a thread listens to the sentinels, which makes failovers faster to follow.
            observer: who is told how it goes.
        """
        self.access = access
        self._deadline_s = deadline_s
        self._watch = watch
        self._observer = observer or LinkObserver()
        self.directory = Directory(access, self._observer)
        self.failover_signal = FailoverSignal()
        self.events = MasterEvents()
        """What happened to the master, for whoever keeps its history."""
        self._rogue_detector = RogueDetector(self.directory, self.events.led_away)
        self._begin()
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _begin_again(itself))

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._breaker = Breaker(self._deadline_s, observer=self._observer)
        self._pools: list[weakref.ref[MasterPool]] = []
        self._watcher: Watcher | None = None
        self._client: Redis | None = None
        self._told_master: Endpoint | None = None

    @property
    def redis(self) -> Redis:
        """The client for short commands."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client(self.access.node_timeout_s, 64)
        return self._client

    def client(self, *, timeout_s: float, max_connections: int = 8) -> Redis:
        """Make a client with a pool of its own, for commands that block for up to `timeout_s` seconds."""
        with self._lock:
            return self._make_client(timeout_s, max_connections)

    def _make_client(self, timeout_s: float, max_connections: int) -> Redis:
        pool = MasterPool(
            self.directory,
            self.failover_signal,
            self._rogue_detector,
            timeout_s=timeout_s,
            max_connections=max_connections,
        )
        self._pools = [each for each in self._pools if each() is not None]
        self._pools.append(weakref.ref(pool))
        if self._watch and self._watcher is None:
            # Until the watcher has asked, nobody knows whether a replica is being promoted at this moment.
            self.failover_signal.hold()
            self._watcher = Watcher(
                self.directory,
                self.failover_signal,
                self.events,
                follow=self.master_moved,
                look_again=self.look_again,
                tick=self._tick,
            )
            self._watcher.start()
        return Redis(connection_pool=pool)

    def run(self, operation: Callable[[Redis], Result], deadline_s: float | None = None) -> Result:
        """Do an idempotent operation on the master, again and again until it works or the time is up.

        Waits are jittered and exponential, and end at once when the master moves. All of it, each connection and each
        wait included, ends when the time is up, or that of the request where it has less (see `request_deadline`).

        Args:
            operation: what to do; it must be safe to repeat, also when it worked unnoticed.
            deadline_s: for how many seconds it is tried, by default as long as the link was made for.

        Raises:
            CircuitOpen: Redis has been away for longer than anybody is kept waiting.
            TransientError: the time is up; the message is of the last attempt.
            PermanentError, Backpressure: at once.
        """
        with request_deadline(self._deadline_s if deadline_s is None else deadline_s):
            began_at, held = time.monotonic(), self.failover_signal.is_held
            try:
                result, at_once = self._try_again_and_again(operation)
            except CircuitOpen:  # nobody was kept waiting
                raise
            except TransientError:
                self._observer.waited(time.monotonic() - began_at, worked=False)
                raise
            if held or not at_once:
                self._observer.waited(time.monotonic() - began_at, worked=True)
            return result

    def _try_again_and_again(self, operation: Callable[[Redis], Result]) -> tuple[Result, bool]:
        """Return the result, and whether the first attempt worked."""
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        failure: Exception | None = None
        while True:
            if remaining_s() == 0.0:
                raise _transient(failure or DeadlinePassed("The time of the request is up."))
            began_at = self._breaker.admit()
            seen = self.failover_signal.count()
            try:
                result = operation(self.redis)
            except PermanentError:
                raise
            except Backpressure:
                self._breaker.worked()  # it answers, if only that it has no room
                raise
            except DeadlinePassed as error:
                raise _transient(failure or error) from error
            except TRANSIENT as error:
                self._breaker.failed(began_at, str(error))
                failure = error
                left_s = remaining_s()
                if not left_s:
                    raise _transient(error) from error
                if self.failover_signal.wait(seen, min(backoff.next_s(), left_s)):
                    backoff.reset()
            else:
                self._breaker.worked()
                return result, failure is None

    def overdraft(self, deadline: RequestDeadline) -> tuple[str, str] | None:
        """Return what is wrong and what to do when requests give up before a failover is over; None where none does.

        Raises:
            TransientError: no sentinel tells its times.
        """
        down_after_s = self.directory.down_after_s()
        if down_after_s is None:
            raise TransientError("No sentinel tells its times.")
        return TimeBudget(down_after_s).overdraft(deadline)

    @property
    def last_master(self) -> Endpoint | None:
        """The master that was believed in last, even if it was doubted since; None before anybody asked."""
        return self.directory.last_master

    def sentinels_seen(self, within_s: float) -> tuple[int, tuple[Endpoint, ...]]:
        """Ask all sentinels at once; return how many are known, and those that name no master within this time."""
        with request_deadline(within_s):
            return self.directory.sentinels_seen()

    def sentinels_without_master(self, within_s: float) -> tuple[Endpoint, ...]:
        """Ask all sentinels at once; return those that take the master for down, of those that answer within this time."""
        with request_deadline(within_s):
            return self.directory.sentinels_without_master()

    def config_epoch(self, within_s: float) -> int | None:
        """Ask the sentinels for the version of their configuration, which each failover raises; None where none answers."""
        with request_deadline(within_s):
            return self.directory.config_epoch()

    @property
    def rogue(self) -> tuple[Endpoint, Endpoint] | None:
        """The master that somebody made a stranger's replica, and that stranger; None where there is none now."""
        return self._rogue_detector.rogue

    def master_moved(self, master: Endpoint) -> None:
        """Follow: believe it, hang up on everybody else, wake whoever waits. The watcher calls this."""
        self.directory.announced(master)
        self._follow(master)

    def look_again(self) -> None:
        """Ask the sentinels anew and follow if the master moved; failing to reach them changes nothing."""
        with contextlib.suppress(TransientError, PermanentError):
            self._follow(self.directory.ask())

    def _tick(self) -> None:
        """Tell the observer what is over, in a process that has nothing to do as well."""
        self._breaker.note_if_over()
        self._rogue_detector.forget_unmet()

    def _follow(self, master: Endpoint) -> None:
        """Shut down the connections that lead elsewhere, and wake whoever waits."""
        with self._lock:
            pools = [pool for each in self._pools if (pool := each()) is not None]
        hung_up = sum(pool.hang_up_except(master) for pool in pools)
        self._breaker.reconsider()
        # Where it has not moved, a replica may just be on its way to take over: a hold outlasts this.
        self.failover_signal.moved_to(master)
        self._tell(master, hung_up)

    def _tell(self, master: Endpoint, hung_up: int) -> None:
        """Log one line for a move, however many hints of it come; the first master is no move."""
        with self._lock:
            before, self._told_master = self._told_master, master
        if before is not None and before != master:
            log.info(
                "The master is now %s, no longer %s; connections shut down: %d.", master, before, hung_up
            )
        elif hung_up:
            log.debug("Connections shut down that led elsewhere than to the master %s: %d.", master, hung_up)

    def close(self) -> None:
        """Stop the watcher and close all connections."""
        if self._watcher is not None:
            self._watcher.stop()
        for each in self._pools:
            if (pool := each()) is not None:
                pool.disconnect()
        self.directory.close()


def _transient(error: Exception) -> TransientError:
    return error if isinstance(error, TransientError) else TransientError(str(error))


def _begin_again(link: weakref.ref[MasterLink]) -> None:
    alive = link()
    if alive is not None:
        # In place: clients that were made before the fork hold both.
        alive.directory.reset()
        alive.failover_signal.reset()
        alive.events.reset()
        alive._begin()  # noqa: SLF001 - the same module, after a fork
