"""What several threads write at the same moment goes to the master together, and one WAIT confirms it for all.

Databases call it group commit. While one exchange with the master is under way, whoever else wants one queues; then the
first of them takes all that queued along. Under load that saves most of the round trips, for Redis and for its
replicas, which are asked once for all; alone, nobody waits for anybody. Each one's steps stay their own: they are atomic,
safe to repeat, and answered apart.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import Any

from redis import ConnectionPool

from sentinel import DeadlinePassed, TransientError, bounded_s, remaining_s
from verifier.store.scripts import Command, exchange

# Beyond that, the next one goes.
MOST_TOGETHER = 64
# For so long somebody waits, in seconds, for an exchange under way before going without it: its connection may be a dead one.
LONGEST_WAIT_S = 0.5


class _Turn:
    """What one thread wants, and what became of it."""

    __slots__ = ("commands", "error", "is_over", "leads", "replies")

    def __init__(self, commands: list[Command]) -> None:
        self.commands = commands
        self.leads = False
        """Whether it is this thread that talks to the master, for all that wait."""
        self.is_over = threading.Lock()
        """Held until there are replies, or an error, or it leads."""
        self.is_over.acquire()
        self.replies: list[Any] = []
        self.error: BaseException | None = None


class GroupCommit:
    """Takes the place of `exchange` for commands of which the last is a WAIT, the same in all. Safe for threads and forks."""

    def __init__(self) -> None:
        self._begin()
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _begin_again(itself))

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        """How many exchanges; more than one where one of them takes long."""
        self._waiting: deque[_Turn] = deque()

    def exchange(self, pool: ConnectionPool, commands: list[Command]) -> list[Any]:
        """Send commands and return their replies; the last one is how many replicas have all of it.

        Raises:
            DeadlinePassed: the request's time is up; nobody knows whether they were sent.
            TransientError, PermanentError: as the connection found, also where another thread's was used.
        """
        turn = _Turn(commands)
        with self._lock:
            if self._under_way:
                self._waiting.append(turn)
            else:
                self._go(turn)
        if not turn.leads:
            self._await(turn)
        if turn.leads:
            self._lead(turn, pool)
        if turn.error is not None:
            raise turn.error
        return turn.replies

    def _await(self, turn: _Turn) -> None:
        """Wait until it is over, or its turn to lead. Raises DeadlinePassed."""
        try:
            if turn.is_over.acquire(timeout=bounded_s(LONGEST_WAIT_S)):
                return
            with self._lock:
                if turn in self._waiting and remaining_s() != 0.0:
                    self._waiting.remove(turn)
                    self._go(turn)
                    return
            left_s = remaining_s()
            if turn.is_over.acquire(timeout=-1 if left_s is None else left_s):
                return
        except BaseException:
            self._give_up(turn)
            raise
        self._give_up(turn)
        raise DeadlinePassed("The time of the request was up before it was its turn.")

    def _go(self, turn: _Turn) -> None:
        """Have a turn lead an exchange of its own; called with the lock."""
        self._under_way += 1
        turn.leads = True

    def _give_up(self, turn: _Turn) -> None:
        """Wait no more; where it has become the one that leads, the next one leads."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.leads:
                self._pass_on()

    def _lead(self, first: _Turn, pool: ConnectionPool) -> None:
        """Talk to the master for all that wait by now."""
        with self._lock:
            turns = [first]
            while self._waiting and len(turns) < MOST_TOGETHER:
                turns.append(self._waiting.popleft())
        try:
            self._exchange(turns, pool)
        except BaseException as error:
            for each in turns[1:]:
                each.error = _for_others(error)
            raise
        finally:
            with self._lock:
                self._pass_on()
            for each in turns[1:]:
                each.is_over.release()

    def _exchange(self, turns: list[_Turn], pool: ConnectionPool) -> None:
        confirmation = turns[0].commands[-1]
        commands = [command for turn in turns for command in turn.commands[:-1]]
        *replies, confirmed = exchange(pool, [*commands, confirmation])
        for turn in turns:
            own, replies = replies[: len(turn.commands) - 1], replies[len(turn.commands) - 1 :]
            turn.replies = [*own, confirmed]
            if isinstance(confirmed, Exception):
                confirmed = _for_others(confirmed)

    def _pass_on(self) -> None:
        """Have the first of those that wait lead; called with the lock."""
        if self._waiting:
            turn = self._waiting.popleft()
            turn.leads = True
            turn.is_over.release()
        else:
            self._under_way -= 1


def _for_others(error: BaseException) -> BaseException:
    """Return the error for those whose commands went along: an exception of each thread's own.

    That one thread's time is up, or that it was stopped, does not concern the others: they may try again.
    """
    if isinstance(error, DeadlinePassed) or not isinstance(error, Exception):
        return TransientError("Whoever talked to the master for this request, too, gave up.")
    return type(error)(*error.args)


def _begin_again(commits: weakref.ref[GroupCommit]) -> None:
    alive = commits()
    if alive is not None:
        alive._begin()  # noqa: SLF001 - the same module, after a fork
