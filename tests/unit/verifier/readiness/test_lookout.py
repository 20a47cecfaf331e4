"""Many may ask at once, and a look may take seconds."""

from __future__ import annotations

import threading

import pytest

from sentinel import Access, Endpoint, MasterLink
from verifier.readiness import Look, Lookout
from verifier.store.keyspace import Queue

WITHIN_S = 60


def test_whoever_asks_during_a_look_is_told_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for another's look, which may last as long as Redis hangs."""
    link = MasterLink(Access((Endpoint("127.0.0.1", 1),), "verifier"), watch=False)
    lookout = Lookout(link, Queue(), 1)
    looks, entered, go_on = [Look(), Look()], threading.Event(), threading.Event()

    def look() -> Look:
        if len(looks) == 1:
            entered.set()
            assert go_on.wait(WITHIN_S)
        return looks.pop(0)

    monkeypatch.setattr(lookout, "_look", look)
    first, second = looks
    assert lookout.look() is first
    seen: list[Look] = []
    slow = threading.Thread(target=lambda: seen.append(lookout.look()))
    slow.start()
    assert entered.wait(WITHIN_S)
    assert lookout.look() is first
    go_on.set()
    slow.join(WITHIN_S)
    assert seen[0] is second
    link.close()
