"""Who tells us: the thread that listens to all sentinels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from sentinel.link import subscription as subscription_module
from sentinel.link import watcher as watcher_module
from sentinel.link.directory import FRESH_FOR_S
from sentinel.link.failover_signal import HOLD_LIMIT_S
from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import Hang, Refusal
from tests.support.links import subscribed_to

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World

SWITCH, SELECTED = "+switch-master", "+selected-slave"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that comes back soon and asks soon for a sign of life."""
    real = subscription_module.Backoff
    monkeypatch.setattr(subscription_module, "Backoff", lambda first_s, cap_s: real(first_s / 20, cap_s / 20))
    monkeypatch.setattr(subscription_module, "PING_EVERY_S", 0.2)
    monkeypatch.setattr(watcher_module, "TICK_S", 0.02)


@pytest.fixture
def link(make_link: Callable[..., MasterLink], quick: None) -> Iterator[MasterLink]:
    """A link whose watcher listens to all three sentinels."""
    made = make_link(watch=True)
    made.run(lambda client: client.ping())
    _await_all(made)
    yield made
    made.close()


def _await_all(link: MasterLink, how_many: int = 3) -> None:
    assert wait_for(lambda: len(subscribed_to(link)) == how_many, 10)


def _announce(world: World, *, name: str = "mymaster", sentinels: slice = slice(None)) -> None:
    """Have some sentinels say that the present master took over."""
    old, new = world.other.endpoint, world.master.endpoint
    for each in world.sentinels[sentinels]:
        each.publish(SWITCH, f"{name} {old.host} {old.port} {new.host} {new.port}")


def test_it_listens_to_every_sentinel(link: MasterLink, world: World) -> None:
    """One of them leads the failover and speaks a second later than the others."""
    assert all(each.subscribed_to(SWITCH) == each.subscribed_to(SELECTED) == 1 for each in world.sentinels)
    assert set(subscribed_to(link)) == {each.endpoint for each in world.sentinels}


@pytest.mark.parametrize("place", range(3))
def test_the_first_to_tell_moves_us(link: MasterLink, world: World, place: int) -> None:
    """Whichever it is: sockets to the old master are shut down, and whoever waits goes on with the new one."""
    world.master.said["BLMOVE"] = Hang()
    blocking = link.client(timeout_s=30)
    woken: list[float] = []

    def block() -> None:
        try:
            blocking.blmove("a", "a", 20)
        except Exception:  # noqa: BLE001 - whatever wakes it
            woken.append(time.monotonic())

    waiting = threading.Thread(target=block)
    waiting.start()
    assert wait_for(lambda: world.master.asked("BLMOVE") == 1, 10)
    seen = link.failover_signal.count()
    world.fail_over()
    announced_at = time.monotonic()
    _announce(world, sentinels=slice(place, place + 1))
    assert link.failover_signal.wait(seen, 5)
    waiting.join(5)
    assert woken
    assert woken[0] - announced_at < 1
    assert link.redis.set("a", "b")
    assert world.master.asked("SET") == 1


@pytest.mark.parametrize(
    "text",
    [
        "othermaster 127.0.0.1 1 127.0.0.1 2",
        "mymaster 127.0.0.1 1 127.0.0.1",
        "mymaster 127.0.0.1 1 127.0.0.1 x",
        "mymaster",
        "",
    ],
)
def test_other_announcements_move_nobody(link: MasterLink, world: World, text: str) -> None:
    """Of another master, or broken ones; the next right one does."""
    believed, seen = link.directory.master(), link.failover_signal.count()
    for each in world.sentinels:
        each.publish(SWITCH, text)
    time.sleep(0.1)
    assert link.failover_signal.count() == seen
    assert link.directory.master() == believed
    assert len(subscribed_to(link)) == 3
    world.fail_over()
    _announce(world)
    assert link.failover_signal.wait(seen, 5)


def _select(world: World, name: str = "mymaster") -> None:
    new, old = world.other.endpoint, world.master.endpoint
    for each in world.sentinels:
        each.publish(SELECTED, f"slave {new} {new.host} {new.port} @ {name} {old.host} {old.port}")


def test_writes_are_held_from_the_choice_of_a_replica_to_the_switch(link: MasterLink, world: World) -> None:
    """What the old master still accepted would be lost."""
    _select(world)
    assert wait_for(lambda: link.failover_signal._held_until > 0, 5)
    written = threading.Event()
    writer = threading.Thread(target=lambda: (link.redis.set("a", "b"), written.set()))
    writer.start()
    assert not written.wait(0.2)
    world.fail_over()
    _announce(world)
    assert written.wait(1)
    writer.join(5)
    assert (world.master.asked("SET"), world.other.asked("SET")) == (1, 0)


def test_a_hold_without_a_switch_is_bounded(link: MasterLink, world: World) -> None:
    """A failover that was given up."""
    _select(world)
    assert wait_for(lambda: link.failover_signal._held_until > 0, 5)
    started_at = time.monotonic()
    assert link.redis.set("a", "b")
    assert 0.5 * HOLD_LIMIT_S < time.monotonic() - started_at < HOLD_LIMIT_S + 1


def test_the_choice_of_another_masters_replica_holds_nobody(link: MasterLink, world: World) -> None:
    """Sentinels may watch several."""
    _select(world, "othermaster")
    time.sleep(0.1)
    assert link.failover_signal._held_until == 0


def test_it_comes_back_to_a_sentinel_that_hung_up(link: MasterLink, world: World) -> None:
    """And asks whether the master has moved meanwhile."""
    # What was asked just now is not asked again.
    assert wait_for(lambda: time.monotonic() - link.directory._asked_at > 2 * FRESH_FOR_S, 5)
    world.fail_over()
    for each in world.sentinels:
        each.hang_up_on_all()
    assert wait_for(lambda: link.directory.master() == world.master.endpoint, 10)
    _await_all(link)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world)
    assert link.failover_signal.wait(seen, 5)


def test_a_sentinel_that_hangs_is_noticed(link: MasterLink, world: World) -> None:
    """By a ping that is not answered; the others still count."""
    world.sentinels[0].instead = Hang()
    _await_all(link, 2)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world, sentinels=slice(1, 2))
    assert link.failover_signal.wait(seen, 5)


def test_a_quiet_sentinel_is_not_left(link: MasterLink, world: World) -> None:
    """It answers the pings."""
    assert wait_for(lambda: all(each.asked("PING") >= 3 for each in world.sentinels), 10)
    assert all(each.subscribed_to(SWITCH) == 1 for each in world.sentinels)


def test_sentinels_that_are_learnt_are_listened_to(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """One in the settings is enough."""
    first, *others = world.sentinels
    first.peers = [each.endpoint for each in others]
    world.sentinels = [first]
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    _await_all(link, 3)
    link.close()


def test_a_user_without_the_second_channel_still_hears_the_first(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """The hold is lost then, following is not."""
    refusal = Refusal("NOPERM this user has no permissions to access one of the channels used as arguments")
    for each in world.sentinels:
        each.answers = _refusing(each.answers, SELECTED, refusal)
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    _await_all(link)
    assert all(each.subscribed_to(SELECTED) == 0 for each in world.sentinels)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world)
    assert link.failover_signal.wait(seen, 5)


def _refusing(
    answers: Callable[[list[str]], object], channel: str, refusal: Refusal
) -> Callable[[list[str]], object]:
    return lambda words: refusal if words == ["SUBSCRIBE", channel] else answers(words)


def test_a_refusal_is_told_once_to_the_operators(
    make_link: Callable[..., MasterLink], world: World, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at each attempt; nothing else depends on it."""
    refusal = Refusal("NOPERM this user has no permissions to access one of the channels used as arguments")
    for each in world.sentinels:
        each.answers = _refusing(each.answers, SWITCH, refusal)
    link = make_link(watch=True)
    assert link.run(lambda client: client.ping())
    assert wait_for(lambda: all(each.asked("SUBSCRIBE", SWITCH) >= 3 for each in world.sentinels), 10)
    logged = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(logged) == 3
    assert all("not announced to us by sentinel" in each and "ACL file" in each for each in logged)
    assert link.run(lambda client: client.ping())


def test_an_outage_of_the_sentinels_is_waited_for_quietly(
    link: MasterLink, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """No error is logged, attempts are few, and commands to the master go on."""
    for each in world.sentinels:
        each.instead = Hang()
        each.hang_up_on_all()
    assert wait_for(lambda: subscribed_to(link) == [], 10)
    assert link.redis.ping()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    for each in world.sentinels:
        each.instead = ...
    _await_all(link)
