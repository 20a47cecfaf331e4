"""Which sentinels there are: those of the settings, and those that they agree on.

A sentinel that is learnt gets our password and a vote, so it is never learnt from one sentinel alone where the
settings name several; and one that nobody lists any more is forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.resolver import resolver
from sentinel.link.sentinel_client import SentinelClient
from sentinel.link.votes import ask_each

log = logging.getLogger(__name__)

MAX_LEARNED_SENTINELS = 16
LEARN_EVERY_S = 10.0


class KnownSentinels:
    """The clients of all known sentinels; safe for threads."""

    def __init__(self, access: Access, cooldowns: Cooldowns) -> None:
        self._access = access
        self._cooldowns = cooldowns
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._learn_at = 0.0
        self._clients = {endpoint: self._client(endpoint) for endpoint in access.sentinels}

    def _client(self, endpoint: Endpoint) -> SentinelClient:
        return SentinelClient(endpoint, self._access, self._cooldowns)

    def clients(self) -> list[SentinelClient]:
        """Return everybody's client."""
        with self._lock:
            return list(self._clients.values())

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all sentinels known by now: those of the settings first, then those learned from them."""
        with self._lock:
            return tuple(self._clients)

    def learn_aside(self) -> None:
        """Learn in a thread of its own, where it was not done lately: nobody waits for it."""
        with self._lock:
            if time.monotonic() < self._learn_at:
                return
            self._learn_at = time.monotonic() + LEARN_EVERY_S
        threading.Thread(target=self._learn_unless_under_way, name="learn-sentinels", daemon=True).start()

    def _learn_unless_under_way(self) -> None:
        if self._learning.acquire(blocking=False):
            try:
                self.learn()
            except Exception:
                log.exception("The other sentinels could not be learned; it is tried again later")
            finally:
                self._learning.release()

    def learn(self) -> None:
        """Ask the configured sentinels for their peers; add those that a majority lists, drop those that nobody does."""
        configured = [each for each in self.clients() if each.endpoint in self._access.sentinels]
        lists = list(ask_each(configured, SentinelClient.peers).values())
        needed = max(len(lists) // 2 + 1, min(2, len(configured)))
        if len(lists) < needed:
            return
        reachable = Counter(peer for peers in lists for peer, is_reachable in peers.items() if is_reachable)
        agreed = [peer for peer, votes in reachable.items() if votes >= needed]
        self._forget_except({peer for peers in lists for peer in peers})
        self._add(self._strangers_in(agreed))

    def _forget_except(self, listed: Iterable[Endpoint]) -> None:
        with self._lock:
            gone = self._clients.keys() - {*self._access.sentinels, *listed}
            forgotten = [self._clients.pop(endpoint) for endpoint in gone]
        for client in forgotten:
            client.close()

    def _strangers_in(self, peers: list[Endpoint]) -> list[Endpoint]:
        """Return those that we do not know yet, not even under another name: nobody may vote twice."""
        known = self.endpoints()
        strangers = [peer for peer in peers if peer not in known]
        if not strangers:
            return []
        resolver.prepare([*known, *strangers])
        addresses = [resolver.addresses_of(endpoint) for endpoint in known]
        if not all(addresses):  # whose name can't be resolved just now might be anybody
            return []
        taken = set().union(*addresses)
        return [peer for peer in strangers if (found := resolver.addresses_of(peer)) and not found & taken]

    def _add(self, endpoints: list[Endpoint]) -> None:
        with self._lock:
            room = len(self._access.sentinels) + MAX_LEARNED_SENTINELS - len(self._clients)
            for endpoint in endpoints[: max(0, room)]:
                self._clients[endpoint] = self._client(endpoint)

    def close(self) -> None:
        """Close the connections to them."""
        for client in self.clients():
            client.close()
