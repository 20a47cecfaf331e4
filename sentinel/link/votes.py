"""Asking several sentinels at once, and counting whom they name as the master.

A sentinel that hangs delays nobody but itself, apart from the first time. A majority is one of all sentinels that can
be reached: one that has not answered yet counts as if it said something else.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from concurrent.futures import TimeoutError as NotAllInTime
from dataclasses import dataclass, field
from typing import TypeVar

from sentinel.deadline import bounded_s
from sentinel.endpoints import Endpoint
from sentinel.errors import PermanentError, TransientError
from sentinel.link.sentinel_client import SentinelBusy, SentinelClient

Result = TypeVar("Result")

# How long those who were silent lately are waited for when the others are no majority; and how often it is looked
# whether the answers are needed still.
GRACE_S = 0.05
# How long an answer may take in all: longer than a client's own limits for connecting, logging in and answering.
LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Votes:
    """Whom each sentinel names as the master."""

    answers: dict[SentinelClient, Endpoint] = field(default_factory=dict)
    errors: dict[SentinelClient, Exception] = field(default_factory=dict)
    unheard: int = 0
    """How many can be reached, as far as is known, but have not answered."""

    def majority(self) -> Endpoint | None:
        """Return the master that more than half of the reachable sentinels name."""
        return _winner(self.answers, len(self.answers) + self.unheard)


class Poll:
    """Asks who is the master; remembers who was silent; safe for threads."""

    def __init__(self) -> None:
        self._silent: set[Endpoint] = set()

    def take(
        self,
        clients: Sequence[SentinelClient],
        longest_s: float = LONGEST_S,
        is_needless: Callable[[], bool] = lambda: False,
    ) -> Votes:
        """Ask all; return as soon as a majority agrees, else when everybody has answered or was given up.

        Args:
            clients: whom to ask.
            longest_s: for how many seconds answers are waited for.
            is_needless: is asked now and then whether the answers are not needed any more.
        """
        futures = _ask(clients, SentinelClient.master)
        for future, client in futures.items():
            future.add_done_callback(functools.partial(self._note_silence, client.endpoint))
        votes, pending = Votes(), set(futures)
        ends_at = time.monotonic() + bounded_s(longest_s)
        while pending and _winner(votes.answers, len(futures)) is None and not is_needless():
            only_silent = bool(votes.answers) and all(
                futures[each].endpoint in self._silent for each in pending
            )
            left_s = max(0.0, ends_at - time.monotonic())
            done, pending = wait(pending, min(GRACE_S, left_s), FIRST_COMPLETED)
            if not done and (only_silent or left_s <= GRACE_S):
                break
            for future in done:
                _count(votes, futures[future], future)
        return Votes(votes.answers, votes.errors, self._unheard(votes, [futures[each] for each in pending]))

    def _unheard(self, votes: Votes, pending: Sequence[SentinelClient]) -> int:
        busy = [client for client, error in votes.errors.items() if isinstance(error, SentinelBusy)]
        return sum(client.endpoint not in self._silent for client in (*busy, *pending))

    def _note_silence(self, sentinel: Endpoint, answer: Future[Endpoint]) -> None:
        """Remember who gave no answer, until they do: a late one was perhaps only not needed this time."""
        error = answer.exception()
        if isinstance(error, SentinelBusy):
            return
        if isinstance(error, TransientError):
            self._silent.add(sentinel)
        else:
            self._silent.discard(sentinel)


def ask_each(
    clients: Sequence[SentinelClient], question: Callable[[SentinelClient], Result]
) -> dict[SentinelClient, Result]:
    """Ask all at once; return the answers of those who give one before the request's time is up."""
    futures = _ask(clients, question)
    answers: dict[SentinelClient, Result] = {}
    try:
        for future in as_completed(futures, bounded_s(LONGEST_S)):
            if not isinstance(future.exception(), TransientError | PermanentError):
                answers[futures[future]] = future.result()
    except NotAllInTime:
        pass
    return answers


def _ask(
    clients: Sequence[SentinelClient], question: Callable[[SentinelClient], Result]
) -> dict[Future[Result], SentinelClient]:
    executor = ThreadPoolExecutor(max_workers=max(1, len(clients)), thread_name_prefix="ask-sentinel")
    try:
        return {executor.submit(question, client): client for client in clients}
    finally:
        executor.shutdown(wait=False)


def _count(votes: Votes, client: SentinelClient, answer: Future[Endpoint]) -> None:
    try:
        votes.answers[client] = answer.result()
    except (TransientError, PermanentError) as error:
        votes.errors[client] = error


def _winner(answers: dict[SentinelClient, Endpoint], voters: int) -> Endpoint | None:
    """Return the master that more than half of so many voters name."""
    for master, votes in Counter(answers.values()).most_common(1):
        if 2 * votes > voters:
            return master
    return None
