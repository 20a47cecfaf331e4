"""Trying again until it works, waking early, and starting afresh after a fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import redis

from sentinel.access import Login
from sentinel.deadline import request_deadline
from sentinel.errors import Backpressure, CircuitOpen, MasterMoved, PermanentError, TransientError
from sentinel.link import failover_signal as signal_module
from sentinel.link import master_link as master_link_module
from sentinel.link.breaker import OVER_AFTER_S, Breaker
from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for
from tests.support.clock import Clock
from tests.support.fake_redis import Hang, HangUp
from tests.support.links import subscribed_to

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World


SOON_S = 30.0


class Failing:
    """An operation that fails so many times before it works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0

    def __call__(self, _: object) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_nothing_connects_before_the_first_use(link: MasterLink, world: World) -> None:
    """So a link can be made before processes are forked."""
    assert world.master.connections == sum(each.connections for each in world.sentinels) == 0


@pytest.mark.parametrize(
    "error",
    [
        TransientError("x"),
        MasterMoved("x"),
        redis.ConnectionError("x"),
        redis.TimeoutError("x"),
        redis.exceptions.MaxConnectionsError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_passes_by_itself_is_tried_again(link: MasterLink, error: Exception) -> None:
    """Until it works."""
    operation = Failing(error, error)
    assert link.run(operation) == "done"
    assert operation.tries == 3


@pytest.mark.parametrize(
    "error", [PermanentError("x"), Backpressure("x"), redis.ResponseError("x"), ValueError("x")], ids=repr
)
def test_what_does_not_pass_is_told_at_once(link: MasterLink, error: Exception) -> None:
    """After one try."""
    operation = Failing(error)
    with pytest.raises(type(error)):
        link.run(operation)
    assert operation.tries == 1


@pytest.mark.parametrize("error_class", [MasterMoved, redis.TimeoutError])
def test_when_the_time_is_up_the_last_error_is_told(link: MasterLink, error_class: type[Exception]) -> None:
    """As a transient one, within the deadline."""
    operation = Failing(*(error_class(f"try {number}") for number in range(1000)))
    started_at = time.monotonic()
    with pytest.raises(TransientError, match=r"try \d+"):
        link.run(operation, deadline_s=1)
    assert 1 <= time.monotonic() - started_at < SOON_S
    assert 3 <= operation.tries <= 20


def test_a_wait_ends_when_the_master_moves(
    make_link: Callable[..., MasterLink], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it would have been."""
    monkeypatch.setattr(master_link_module, "FIRST_WAIT_S", 4 * SOON_S)
    monkeypatch.setattr(master_link_module, "LONGEST_WAIT_S", 4 * SOON_S)
    link = make_link(deadline_s=30 * SOON_S)
    operation = Failing(*(TransientError("x") for _ in range(6)))
    done = threading.Event()
    caller = threading.Thread(target=lambda: (link.run(operation), done.set()))
    started_at = time.monotonic()
    caller.start()
    while not done.wait(0.01):
        link.master_moved(world.master.endpoint)
        assert time.monotonic() - started_at < SOON_S
    caller.join(SOON_S)


def test_a_long_outage_is_told_at_once(make_link: Callable[..., MasterLink]) -> None:
    """Nobody is kept waiting for what has been away for so long; one at a time looks, and finds it back."""
    link, clock = make_link(deadline_s=0.2), Clock()
    link._breaker = Breaker(0.2, clock=clock)
    away = Failing(*(TransientError("x") for _ in range(1000)))
    with pytest.raises(TransientError):
        link.run(away)
    clock.move(0.2)
    # Somebody else is let through to probe, and from then on nobody for a moment.
    assert not _is_refused(link)
    assert _is_refused(link)
    tries = away.tries
    with pytest.raises(CircuitOpen):
        link.run(away)
    assert away.tries == tries
    away.errors.clear()
    clock.move(1)
    assert all(_works(link, away) for _ in range(5))


def _is_refused(link: MasterLink) -> bool:
    try:
        link._breaker.admit()
    except CircuitOpen:
        return True
    return False


def _works(link: MasterLink, operation: Failing) -> bool:
    try:
        return link.run(operation, deadline_s=SOON_S) == "done"
    except CircuitOpen:
        return False


def test_a_failover_is_followed(link: MasterLink, world: World) -> None:
    """The operation that was refused by the old master is done by the new one."""
    link.run(lambda client: client.ping())
    world.fail_over()
    assert link.run(_write) is True
    assert world.master.asked("SET") == 1


def _write(client: redis.Redis) -> bool:
    client.connection_pool.disconnect()
    return bool(client.set("a", "b"))


def test_many_threads_share_a_link(link: MasterLink, world: World) -> None:
    """Each command gets its own answer."""
    world.master.said["GET"] = lambda words: words[1]
    wrong: list[object] = []

    def read(name: str) -> None:
        for number in range(30):
            key = f"{name}-{number}"
            value = link.run(lambda client, key=key: client.get(key))  # type: ignore[misc]
            if value != key.encode():
                wrong.append(value)

    threads = [threading.Thread(target=read, args=(f"thread-{number}",)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(2 * SOON_S)
    assert wrong == []


def test_a_forked_child_starts_afresh(make_link: Callable[..., MasterLink], world: World) -> None:
    """With sockets, threads and locks of its own, also where the parent held a lock at that moment."""
    link = make_link(watch=True)
    assert link.run(lambda client: client.ping())
    before = world.master.connections
    inherited = link.redis
    link._lock.acquire()
    link.failover_signal._condition.acquire()
    link.failover_signal._held_until = time.monotonic() + 60
    link.directory._lock.acquire()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            alive = link._watcher is None and link.run(lambda client: client.ping(), deadline_s=SOON_S)
            alive = alive and link._watcher is not None
            # A client from before the fork as well: it has a socket of its own, to the master that is found anew.
            alive = alive and inherited.ping()
            os.write(write_end, b"well" if alive else b"bad")
        finally:
            os._exit(0)
    link.directory._lock.release()
    link.failover_signal._held_until = 0.0
    link.failover_signal._condition.release()
    link._lock.release()
    os.close(write_end)
    with os.fdopen(read_end, "rb") as told:
        assert told.read() == b"well"
    assert os.waitpid(child, 0)[1] == 0
    assert world.master.connections == before + 2
    assert link.run(lambda client: client.ping())
    assert world.master.connections == before + 2


def test_a_link_that_was_closed_leaves_no_thread(make_link: Callable[..., MasterLink], world: World) -> None:
    """And may be closed twice."""
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    assert wait_for(lambda: len(subscribed_to(link)) == 3, SOON_S)
    watcher = link._watcher
    assert watcher is not None
    link.close()
    link.close()
    assert not watcher._thread.is_alive()
    assert wait_for(lambda: world.master.open_connections == 0, SOON_S)


@pytest.mark.parametrize("hung", ["AUTH", "ROLE", "SET"])
def test_the_time_is_never_overrun_by_much(
    make_link: Callable[..., MasterLink], world: World, hung: str
) -> None:
    """Whatever hangs: the last attempt has no more time than is left of the whole."""
    link = make_link(
        node_login=Login("app", "secret"), node_connect_timeout_s=2 * SOON_S, node_timeout_s=2 * SOON_S
    )
    first = iter([HangUp()])
    world.master.said[hung] = lambda _: next(first, Hang())
    started_at = time.monotonic()
    with pytest.raises(TransientError):
        link.run(lambda client: client.set("a", "b"), deadline_s=1)
    assert 0.95 <= time.monotonic() - started_at < SOON_S
    assert world.master.asked(hung) >= 1


def test_hung_sentinels_do_not_overrun_it_either(make_link: Callable[..., MasterLink], world: World) -> None:
    """They have limits of their own, which may be longer than what is left."""
    for each in world.sentinels:
        each.instead = Hang()
    started_at = time.monotonic()
    with pytest.raises(TransientError):
        make_link(sentinel_timeout_s=SOON_S).run(lambda client: client.ping(), deadline_s=0.2)
    # By itself the question to them ends after 5 s.
    assert time.monotonic() - started_at < 4


def test_a_request_spends_its_time_once(link: MasterLink, world: World) -> None:
    """However many operations it has: the second gets what the first has left."""
    failing = Failing(*(TransientError(f"try {number}") for number in range(1000)))
    started_at = time.monotonic()
    with request_deadline(0.4):
        for _ in range(3):
            with pytest.raises(TransientError):
                link.run(failing)
    # Each by itself has 30 s.
    assert 0.4 <= time.monotonic() - started_at < SOON_S / 2


def test_a_hold_counts_in_the_time(
    make_link: Callable[..., MasterLink], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that takes long to take over makes nobody wait past the deadline."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 10 * SOON_S)
    link = make_link()
    link.run(lambda client: client.ping())
    link.failover_signal.hold()
    started_at = time.monotonic()
    with pytest.raises(TransientError, match="replica is taking over"):
        link.run(lambda client: client.set("a", "b"), deadline_s=0.3)
    assert 0.3 <= time.monotonic() - started_at < SOON_S
    assert world.master.asked("SET") == 0


def test_one_failed_look_long_ago_refuses_nobody(link: MasterLink) -> None:
    """It failed, nobody came for a while, and now Redis is healthy."""
    clock = Clock()
    link._breaker = Breaker(0.2, clock=clock)
    with pytest.raises(TransientError):
        link.run(Failing(*(TransientError("x") for _ in range(9))), deadline_s=0.05)
    clock.move(OVER_AFTER_S + 0.1)
    with ThreadPoolExecutor(12) as pool:
        done = [pool.submit(link.run, _slowly) for _ in range(12)]
        assert [each.result() for each in done] == ["done"] * 12


def _slowly(_: object) -> str:
    time.sleep(0.05)
    return "done"
