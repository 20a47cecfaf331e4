"""What is believed to be the master until somebody knows better.

What is believed is only a guess: each new connection verifies it with ROLE on the node itself. So the
sentinels are asked when there is no guess, or when it proved wrong, never for each connection. They are
asked all at once, and a majority of those that can be reached decides; where there is none, the newest configuration
among the masters that the others know as nodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sentinel.access import Access
from sentinel.deadline import remaining_s
from sentinel.endpoints import Endpoint
from sentinel.errors import DeadlinePassed, MasterUnknown, PermanentError
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.known_sentinels import KnownSentinels
from sentinel.link.resolver import resolver
from sentinel.link.sentinel_client import SentinelClient
from sentinel.link.votes import Poll, Votes, ask_each
from sentinel.observer import LinkObserver

FRESH_FOR_S = 0.1
# How long the master that was replaced is not believed in, even if a majority still names it: it stays
# writable for about ten seconds, and what it takes then is lost.
REPLACED_FOR_S = 10.0


@dataclass(frozen=True)
class Announcement:
    """A move of the master that a majority confirmed; `announced_at` by the monotonic clock, in seconds."""

    master: Endpoint
    replaced: Endpoint | None
    announced_at: float


class Directory:
    """The believed master of one process; safe for threads."""

    def __init__(self, access: Access, observer: LinkObserver | None = None) -> None:
        self.access = access
        self.observer = observer or LinkObserver()
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child: locks may have been held at that moment, and sockets are the parent's."""
        self.cooldowns = Cooldowns()
        self.moves = 0
        """How often another master was believed in than before."""
        self._lock = threading.Lock()
        self._ask_lock = threading.Lock()
        self._believed: Endpoint | None = None
        self._last: Endpoint | None = None
        self._asked_at = 0.0
        self._announcement: Announcement | None = None
        self._poll = Poll()
        self._sentinels = KnownSentinels(self.access, self.cooldowns)

    def sentinels(self) -> tuple[Endpoint, ...]:
        """Return all sentinels known by now: those of the settings first, then those learned from them."""
        return self._sentinels.endpoints()

    def learn_sentinels(self) -> None:
        """Look now and then, aside, which other sentinels there are."""
        self._sentinels.learn_aside()

    @property
    def last_master(self) -> Endpoint | None:
        """The master that was believed in last, even if it was doubted since."""
        return self._last

    def master(self) -> Endpoint:
        """Return the believed master, asking the sentinels where there is no belief.

        Raises:
            MasterUnknown: no sentinel names a master, or they disagree.
            DeadlinePassed: the request has no more time.
            PermanentError: they refuse us, or know no master of this name.
        """
        with self._lock:
            believed = self._believed
        return believed if believed is not None else self.ask()

    def announced(self, master: Endpoint) -> None:
        """Believe what a majority has confirmed, and for a while not in the master that was replaced."""
        self.cooldowns.worked(master)
        with self._lock:
            if master != self._last or self._announcement is None:
                replaced = self._last if master != self._last else None
                self._announcement = Announcement(master, replaced, time.monotonic())
            self._believe(master)
            self._asked_at = time.monotonic()

    def _believe(self, master: Endpoint) -> None:
        if self._last not in {None, master}:
            self.moves += 1
            self.observer.moved()
        self._believed = self._last = master

    def moved_since(self, moves: int, *, away_from: Endpoint) -> bool:
        """Return whether another master than this one took over after the first `moves` moves."""
        with self._lock:
            return self.moves != moves and self._last != away_from

    def invalidate(self, master: Endpoint) -> None:
        """Forget a belief that proved wrong, unless there is a newer one."""
        with self._lock:
            if self._believed == master:
                self._believed = None

    def knows_node(self, node: Endpoint) -> bool:
        """Return whether some sentinel knows this data node; True also where none of them answers."""
        known_by = ask_each(self._sentinels.clients(), _nodes_known_to)
        known = {endpoint for endpoints in known_by.values() for endpoint in endpoints}
        if not known or node in known:
            return True
        resolver.prepare([node, *known])
        addresses = resolver.addresses_of(node)
        return any(addresses & resolver.addresses_of(each) for each in known)

    def sentinels_seen(self) -> tuple[int, tuple[Endpoint, ...]]:
        """Ask all sentinels; return how many are known, and those that name no master before the deadline."""
        clients = self._sentinels.clients()
        answers = ask_each(clients, SentinelClient.master)
        self.learn_sentinels()
        return len(clients), tuple(client.endpoint for client in clients if client not in answers)

    def sentinels_without_master(self) -> tuple[Endpoint, ...]:
        """Return the sentinels that take the master for down, of those that answer before the deadline."""
        answers = ask_each(self._sentinels.clients(), SentinelClient.takes_master_for_down)
        return tuple(client.endpoint for client, is_down in answers.items() if is_down)

    def down_after_s(self) -> float | None:
        """Return the longest down-after of the sentinels that tell theirs, in seconds; None where none does."""
        return max(ask_each(self._sentinels.clients(), SentinelClient.down_after_s).values(), default=None)

    def config_epoch(self) -> int | None:
        """Return the newest version of the configuration that a sentinel tells; each failover makes a new one."""
        return max(ask_each(self._sentinels.clients(), SentinelClient.config_epoch).values(), default=None)

    def close(self) -> None:
        """Close the connections to the sentinels."""
        self._sentinels.close()

    def ask(self) -> Endpoint:
        """Ask the sentinels, once for everybody who wants to know at this moment; raises as `master` does."""
        wanted_at = time.monotonic()
        with self._turn_to_ask():
            with self._lock:
                if self._believed is not None and self._asked_at >= wanted_at - FRESH_FOR_S:
                    return self._believed
            began_at = time.monotonic()
            votes = self._poll.take(
                self._sentinels.clients(), is_needless=lambda: self._announced_since(began_at) is not None
            )
            self.learn_sentinels()
            if (announced := self._announced_since(began_at)) is not None:
                return announced  # what was answered may be older than that
            master = self._choose(votes)
            with self._lock:
                # Between that look and this line one may have come, too.
                if (announced := self._announced_since(began_at)) is not None:
                    return announced
                self._believe(master)
                self._asked_at = time.monotonic()
            return master

    def _announced_since(self, began_at: float) -> Endpoint | None:
        newest = self._announcement
        return newest.master if newest and newest.announced_at >= began_at else None

    @contextmanager
    def _turn_to_ask(self) -> Iterator[None]:
        left_s = remaining_s()
        if not self._ask_lock.acquire(timeout=-1 if left_s is None else left_s):
            raise DeadlinePassed("The time of the request was up before the sentinels answered.")
        try:
            yield
        finally:
            self._ask_lock.release()

    def named_by_majority(self, within_s: float) -> Endpoint | None:
        """Ask who is the master; return whom a majority of the sentinels that can be reached names within this time."""
        return self._poll.take(self._sentinels.clients(), within_s).majority()

    def _choose(self, votes: Votes) -> Endpoint:
        """Return the majority's answer, else the newest configuration's; never the master that was just replaced."""
        chosen = votes.majority() or self._newest_known(votes)
        newest = self._announcement
        if chosen is None:
            raise self._no_master(votes)
        if newest and chosen == newest.replaced and time.monotonic() - newest.announced_at < REPLACED_FOR_S:
            return newest.master
        return chosen

    @staticmethod
    def _newest_known(votes: Votes) -> Endpoint | None:
        """Return the master of the newest configuration, among those that all other sentinels know as a node.

        Whoever may be promoted is known to all, so nobody can make up a master alone.
        """
        nodes = ask_each([*votes.answers], _nodes_known_to)
        if votes.unheard or len(nodes) < len(votes.answers):
            return None
        epochs = ask_each([*votes.answers], SentinelClient.config_epoch)
        newest = sorted(votes.answers, key=lambda client: epochs.get(client, 0), reverse=True)
        candidates = [votes.answers[client] for client in newest]
        return next((each for each in candidates if all(each in known for known in nodes.values())), None)

    def _no_master(self, votes: Votes) -> Exception:
        if remaining_s() == 0.0:
            return DeadlinePassed("The time of the request was up before the sentinels answered.")
        errors = list(votes.errors.values())
        permanent = [error for error in errors if isinstance(error, PermanentError)]
        if permanent and len(permanent) == len(errors) and not votes.answers and not votes.unheard:
            return permanent[0]
        named = [f"{client.endpoint} names {master}" for client, master in votes.answers.items()]
        reasons = "; ".join(sorted({*named, *map(str, errors)})) or "none is configured"
        agreed = "The sentinels do not agree on" if votes.answers else "No sentinel names"
        return MasterUnknown(f"{agreed} a master of {self.access.master_name!r}: {reasons}")


def _nodes_known_to(sentinel: SentinelClient) -> list[Endpoint]:
    return [sentinel.master(), *sentinel.replicas()]
