"""Writing while a master is moved: what was accepted, refused, lost, and how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Self

import pytest

from sentinel import LocalTopology
from verifier.container import Container, make_container
from verifier.domain.errors import VerifierError
from verifier.domain.keys import new_secret
from verifier.settings import load_settings
from verifier.store import keyspace


@contextmanager
def service_on(topology: LocalTopology) -> Iterator[Container]:
    """Wire the service to a topology, through the environment as a deployment does."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in topology.environment().items():
            patch.setenv(name, value)
        patch.setenv("VERIFIER_SECRET_KEYS", f"test:{new_secret()}")
        container = make_container(load_settings(None))
    try:
        yield container
    finally:
        container.link.close()


class Submitters:
    """Threads that each submit one address after the other."""

    def __init__(self, container: Container, *, threads: int = 8, each_s: float = 0.04) -> None:
        """Start nobody yet; each thread submits every `each_s` seconds."""
        self.accepted: list[tuple[float, str]] = []
        self.refused: list[VerifierError] = []
        self._container = container
        self._each_s = each_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._submit, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        """Start, and wait until something was accepted."""
        for thread in self._threads:
            thread.start()
        while not self.accepted and not self.refused:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop once something was accepted after all that happened, or refused."""
        seen, deadline = len(self.accepted), time.monotonic() + 60
        while len(self.accepted) < seen + len(self._threads) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def longest_gap_s(self) -> float:
        """Return the longest time in which nothing was accepted, in seconds."""
        times = sorted(at for at, _ in self.accepted)
        return max(later - earlier for earlier, later in pairwise(times))

    def lost(self) -> list[str]:
        """Name the accepted verifications that the master does not know."""
        with self._container.link.redis.pipeline(transaction=False) as pipeline:
            for _, verification_id in self.accepted:
                pipeline.exists(keyspace.record_key(verification_id))
            found: list[Any] = pipeline.execute()
        return [each for (_, each), exists in zip(self.accepted, found, strict=True) if not exists]

    def _submit(self, number: int) -> None:
        count = 0
        while not self._stop.wait(self._each_s):
            count += 1
            try:
                verification = self._container.service.start(f"u{number}.{count}@example.org")
            except VerifierError as error:
                self.refused.append(error)
            else:
                self.accepted.append((time.monotonic(), verification.id))
