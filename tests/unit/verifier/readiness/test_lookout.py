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


def test_those_who_wait_for_the_first_look_do_not_look_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While Redis hangs a look takes seconds, and anybody may ask: they would take all threads of the web app."""
    link = MasterLink(Access((Endpoint("127.0.0.1", 1),), "verifier"), watch=False)
    lookout = Lookout(link, Queue(), 1)
    looks, entered, go_on = 0, threading.Event(), threading.Event()

    def look() -> Look:
        nonlocal looks
        looks += 1
        entered.set()
        assert go_on.wait(WITHIN_S)
        return Look()

    class Waiting:
        """The lookout's lock; the test is told when somebody is about to wait for it."""

        def __init__(self) -> None:
            self.lock, self.waits = threading.Lock(), threading.Semaphore(0)

        def acquire(self, blocking: bool = True) -> bool:
            if blocking:
                self.waits.release()
            return self.lock.acquire(blocking)

        def release(self) -> None:
            self.lock.release()

        def __enter__(self) -> bool:
            return self.acquire()

        def __exit__(self, *_: object) -> None:
            self.release()

    lock = Waiting()
    monkeypatch.setattr(lookout, "_look", look)
    monkeypatch.setattr(lookout, "_lock", lock)
    threads = [threading.Thread(target=lookout.look) for _ in range(5)]
    threads[0].start()
    assert entered.wait(WITHIN_S)
    for thread in threads[1:]:
        thread.start()
        assert lock.waits.acquire(timeout=WITHIN_S)
    go_on.set()
    for thread in threads:
        thread.join(WITHIN_S)
    assert looks == 1
    link.close()
