"""The addresses of host names, looked up aside, so that a slow name server holds up nobody for long.

`getaddrinfo` has no time limit, and a dead container's name may take many seconds. So each name is looked up by at
most one thread at a time, whoever asks waits for it a little, and what was found is kept for a while.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

from sentinel.deadline import bounded_s
from sentinel.direct_connection import NodeConnection
from sentinel.endpoints import Endpoint, is_address

KEPT_FOR_S = 60.0
# How long somebody waits for a name that is not known, and for one that may have moved since it was.
WAIT_S = 0.5
WAIT_FOR_NEWS_S = 0.05
# Whoever names hosts to us can't have us start more threads than these, or keep more names than those.
MAX_LOOKUPS = 8
MAX_NAMES = 256


class _Lookup:
    """One look-up of a name, by a thread of its own; `done` when it has ended, well or not."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.done = threading.Event()
        self.found: tuple[str, ...] = ()
        self.ended_at = 0.0
        threading.Thread(target=self._run, name=f"look-up-{host}", daemon=True).start()

    def _run(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
            # Once each, and in the order in which they should be tried.
            self.found = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
        except (OSError, UnicodeError):
            pass
        finally:
            self.ended_at = time.monotonic()
            self.done.set()


class Resolver:
    """Looks names up, each once for everybody; safe for threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child, where the parent's threads are not."""
        self._lock = threading.Lock()
        self._running: dict[str, _Lookup] = {}
        self._known: dict[str, _Lookup] = {}

    def hosts(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host, in the order in which to try them; none where it can't be resolved now.

        Waits at most WAIT_S seconds. A name that takes longer this time keeps the addresses that it had.
        """
        if is_address(host):
            return (host,)
        lookup, former = self._begin(host)
        wait_s = bounded_s(WAIT_FOR_NEWS_S if former else WAIT_S)
        return lookup.found if lookup is not None and lookup.done.wait(wait_s) else former

    def addresses_of(self, endpoint: Endpoint) -> set[Endpoint]:
        """Return the addresses an endpoint stands for; none where its name can't be resolved now."""
        return {Endpoint(host, endpoint.port) for host in self.hosts(endpoint.host)}

    def prepare(self, endpoints: Iterable[Endpoint]) -> None:
        """Begin to look up all these names side by side."""
        for endpoint in endpoints:
            if not is_address(endpoint.host):
                self._begin(endpoint.host)

    def _begin(self, host: str) -> tuple[_Lookup | None, tuple[str, ...]]:
        """Return the look-up that is fresh or under way, None where there are too many; and what was found before."""
        with self._lock:
            self._collect()
            known = self._known.get(host)
            if known and time.monotonic() - known.ended_at < KEPT_FOR_S:
                return known, known.found
            if host not in self._running and len(self._running) < MAX_LOOKUPS:
                self._running[host] = _Lookup(host)
            return self._running.get(host), known.found if known else ()

    def _collect(self) -> None:
        for host, lookup in list(self._running.items()):
            if not lookup.done.is_set():
                continue
            del self._running[host]
            self._known.pop(host, None)
            if lookup.found:
                self._known[host] = lookup
        while len(self._known) > MAX_NAMES:
            del self._known[next(iter(self._known))]


# Names mean the same to the whole process.
resolver = Resolver()
os.register_at_fork(after_in_child=resolver.reset)


class ResolvingConnection(NodeConnection):
    """A connection that has its host name resolved by the resolver; a certificate is for the name."""

    def _connect_without_tls(self) -> Any:
        """Try the host's addresses one after the other; redis-py would wait for the name server without a limit."""
        name = self.host
        failure = OSError(f"The address of the host {name!r} can't be found at the moment.")
        try:
            for self.host in resolver.hosts(name):
                try:
                    return super()._connect_without_tls()
                except OSError as error:
                    failure = error
        finally:
            self.host = name
        raise failure
