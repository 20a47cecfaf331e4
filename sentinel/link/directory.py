"""Whom to ask where the master is, and what is believed until somebody knows better.

What is believed is only a guess: each new connection verifies it with ROLE on the node itself. So the
sentinels are asked when there is no guess, or when it proved wrong, never for each connection. They are
asked all at once, and the answer of the majority counts; without a majority the one with the newest
configuration. A sentinel that hangs delays nobody but itself, apart from the first time.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from sentinel.access import Access
from sentinel.endpoints import Endpoint, addresses_of
from sentinel.errors import MasterUnknown, PermanentError, TransientError
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.sentinel_client import SentinelClient

MAX_LEARNED_SENTINELS = 16
FRESH_FOR_S = 0.1
# How long the master that was replaced is not believed in, even if a majority still names it: it stays
# writable for about ten seconds, and what it takes then is lost.
REPLACED_FOR_S = 10.0


@dataclass(frozen=True)
class Announcement:
    """A move of the master as a sentinel announced it; `announced_at` by the monotonic clock, in seconds."""

    master: Endpoint
    replaced: Endpoint
    announced_at: float


class Directory:
    """The believed master and the known sentinels of one process; safe for threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child: locks may have been held at that moment, and sockets are the parent's."""
        self.cooldowns = Cooldowns()
        self._lock = threading.Lock()
        self._ask_lock = threading.Lock()
        self._believed: Endpoint | None = None
        self._asked_at = 0.0
        self._announcement: Announcement | None = None
        self._clients = {endpoint: self._client(endpoint) for endpoint in self.access.sentinels}
        self._silent: set[Endpoint] = set()

    def _client(self, endpoint: Endpoint) -> SentinelClient:
        return SentinelClient(endpoint, self.access, self.cooldowns)

    def _all_clients(self) -> list[SentinelClient]:
        with self._lock:
            return list(self._clients.values())

    def sentinels(self) -> tuple[Endpoint, ...]:
        """Return all sentinels known by now: those of the settings first, then those learned from them."""
        with self._lock:
            return tuple(self._clients)

    def master(self) -> Endpoint:
        """Return the believed master, asking the sentinels where there is no belief.

        Raises:
            MasterUnknown: no sentinel names a master.
            PermanentError: they refuse us, or know no master of this name.
        """
        with self._lock:
            believed = self._believed
        return believed if believed is not None else self.ask()

    def announced(self, master: Endpoint, replaced: Endpoint | None = None) -> None:
        """Believe what a sentinel has just announced, and for a while not in the master that was replaced."""
        self.cooldowns.worked(master)
        with self._lock:
            self._believed = master
            if replaced is not None:
                self._announcement = Announcement(master, replaced, time.monotonic())

    def invalidate(self, master: Endpoint) -> None:
        """Forget a belief that proved wrong, unless there is a newer one."""
        with self._lock:
            if self._believed == master:
                self._believed = None

    def knows_node(self, node: Endpoint) -> bool:
        """Return whether some sentinel knows this data node; True also where none of them answers."""
        addresses = addresses_of(node)
        answered = False
        for client in self._all_clients():
            try:
                known = [client.master(), *client.replicas()]
            except (TransientError, PermanentError):
                continue
            answered = True
            if any(addresses & addresses_of(each) for each in known):
                return True
        return not answered

    def close(self) -> None:
        """Close the connections to the sentinels."""
        for client in self._all_clients():
            client.close()

    def ask(self) -> Endpoint:
        """Ask the sentinels, once for everybody who wants to know at this moment; raises as `master` does."""
        wanted_at = time.monotonic()
        with self._ask_lock:
            with self._lock:
                if self._believed is not None and self._asked_at >= wanted_at - FRESH_FOR_S:
                    return self._believed
            master = self._ask_all()
            with self._lock:
                self._believed, self._asked_at = master, time.monotonic()
            return master

    def _ask_all(self) -> Endpoint:
        clients = self._all_clients()
        executor = ThreadPoolExecutor(max_workers=max(1, len(clients)), thread_name_prefix="ask-sentinel")
        try:
            futures = {executor.submit(client.master): client for client in clients}
            for future, client in futures.items():
                future.add_done_callback(functools.partial(self._note_silence, client.endpoint))
            answers, errors = self._collect(futures)
        finally:
            executor.shutdown(wait=False)
        if not answers:
            raise self._no_master(errors)
        self._learn_from(next(iter(answers)))
        return self._choose(answers)

    def _collect(
        self, futures: dict[Future[Endpoint], SentinelClient]
    ) -> tuple[dict[SentinelClient, Endpoint], list[Exception]]:
        """Wait for a majority, else for everybody who is not known to be silent."""
        answers: dict[SentinelClient, Endpoint] = {}
        errors: list[Exception] = []
        pending = set(futures)
        while pending and not self._settled(answers, [futures[future] for future in pending], len(futures)):
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    answers[futures[future]] = future.result()
                except (TransientError, PermanentError) as error:
                    errors.append(error)
        return answers, errors

    def _note_silence(self, sentinel: Endpoint, answer: Future[Endpoint]) -> None:
        """Remember who gave no answer, until they do: a late one was perhaps only not needed this time."""
        if isinstance(answer.exception(), TransientError):
            self._silent.add(sentinel)
        else:
            self._silent.discard(sentinel)

    def _settled(
        self, answers: dict[SentinelClient, Endpoint], pending: Sequence[SentinelClient], asked: int
    ) -> bool:
        votes = Counter(answers.values()).most_common(1)
        if votes and votes[0][1] > asked // 2:
            return True
        return bool(answers) and all(client.endpoint in self._silent for client in pending)

    def _choose(self, answers: dict[SentinelClient, Endpoint]) -> Endpoint:
        """Return the majority's answer, else the newest configuration's; never the master that was just replaced."""
        chosen = self._majority_of(answers)
        newest = self._announcement
        if newest and chosen == newest.replaced and time.monotonic() - newest.announced_at < REPLACED_FOR_S:
            return newest.master
        return chosen

    @staticmethod
    def _majority_of(answers: dict[SentinelClient, Endpoint]) -> Endpoint:
        votes = Counter(answers.values()).most_common()
        if len(votes) == 1 or votes[0][1] > votes[1][1]:
            return votes[0][0]
        epochs: dict[Endpoint, int] = {}
        for client, master in answers.items():
            try:
                epochs[master] = max(epochs.get(master, 0), client.config_epoch())
            except (TransientError, PermanentError):
                epochs.setdefault(master, 0)
        return max(epochs, key=lambda master: epochs[master])

    def _no_master(self, errors: list[Exception]) -> Exception:
        permanent = [error for error in errors if isinstance(error, PermanentError)]
        if permanent and len(permanent) == len(errors):
            return permanent[0]
        reasons = "; ".join(sorted({str(error) for error in errors})) or "none is configured"
        return MasterUnknown(f"No sentinel names a master of {self.access.master_name!r}: {reasons}")

    def _learn_from(self, client: SentinelClient) -> None:
        try:
            peers = client.peers()
        except (TransientError, PermanentError):
            return
        with self._lock:
            unknown = [peer for peer in peers if peer not in self._clients]
            if not unknown:
                return
            # The settings may name a sentinel by host name and its peers by address: it must not vote twice.
            known = {address for endpoint in self._clients for address in addresses_of(endpoint)}
            for peer in unknown:
                learned = len(self._clients) - len(self.access.sentinels)
                if learned < MAX_LEARNED_SENTINELS and not known & addresses_of(peer):
                    self._clients[peer] = self._client(peer)
