"""Who tells us: the thread that listens to all sentinels."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sentinel.access import Login
from sentinel.endpoints import Endpoint
from sentinel.link import failover_signal as signal_module
from sentinel.link import subscription as subscription_module
from sentinel.link import watcher as watcher_module
from sentinel.link.directory import FRESH_FOR_S
from sentinel.link.failover_signal import HOLD_LIMIT_S
from sentinel.link.master_link import MasterLink
from sentinel.link.resolver import resolver
from sentinel.link.subscription import CHANNELS
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import FakeNode, FakeSentinel, Hang, Refusal
from tests.support.links import subscribed_to

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World

SOON_S = 30.0
SWITCH, SELECTED = "+switch-master", "+selected-slave"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that comes back soon."""
    real = subscription_module.Backoff
    monkeypatch.setattr(subscription_module, "Backoff", lambda first_s, cap_s: real(first_s / 20, cap_s / 20))
    monkeypatch.setattr(watcher_module, "TICK_S", 0.02)


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """One that asks soon for a sign of life, too, and still leaves time for it on a busy machine."""
    monkeypatch.setattr(subscription_module, "PING_EVERY_S", 1.0)


@pytest.fixture
def link(make_link: Callable[..., MasterLink], quick: None) -> Iterator[MasterLink]:
    """A link whose watcher listens to all three sentinels."""
    made = make_link(watch=True)
    made.run(lambda client: client.ping())
    _await_all(made)
    yield made
    made.close()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds that end only when somebody ends them."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 10 * SOON_S)


def _await_all(link: MasterLink, how_many: int = 3) -> None:
    assert wait_for(lambda: len(subscribed_to(link)) == how_many, SOON_S)


def _follows(link: MasterLink, world: World, seen: int) -> bool:
    """Wait until the present master is followed, and whoever waits was woken since `seen`."""
    return wait_for(
        lambda: link.directory.last_master == world.master.endpoint and link.failover_signal.count() != seen,
        SOON_S,
    )


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
    blocking = link.client(timeout_s=10 * SOON_S)
    woken = threading.Event()

    def block() -> None:
        try:
            blocking.blmove("a", "a", 5 * SOON_S)
        except Exception:  # noqa: BLE001 - whatever wakes it
            woken.set()

    waiting = threading.Thread(target=block)
    waiting.start()
    assert wait_for(lambda: world.master.asked("BLMOVE") == 1, SOON_S)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world, sentinels=slice(place, place + 1))
    assert _follows(link, world, seen)
    assert woken.wait(SOON_S)
    waiting.join(SOON_S)
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
    assert link.directory.master() == believed
    assert len(subscribed_to(link)) == 3
    world.fail_over()
    _announce(world)
    assert _follows(link, world, seen)


def _select(world: World, name: str = "mymaster", sentinels: slice = slice(None)) -> None:
    new, old = world.other.endpoint, world.master.endpoint
    for each in world.sentinels[sentinels]:
        each.publish(SELECTED, f"slave {new} {new.host} {new.port} @ {name} {old.host} {old.port}")


def _say(world: World, channel: str, place: int, name: str = "mymaster") -> None:
    """Have one sentinel say something of the failover of the present master."""
    old = world.master.endpoint
    world.sentinels[place].publish(channel, f"master {name} {old.host} {old.port}")


def _is_held(link: MasterLink) -> bool:
    return link.failover_signal._held_until > time.monotonic()


def test_writes_are_held_from_the_choice_of_a_replica_to_the_switch(
    endless: None, link: MasterLink, world: World
) -> None:
    """What the old master still accepted would be lost."""
    _select(world)
    assert wait_for(lambda: link.failover_signal._held_until > 0, SOON_S)
    written = threading.Event()
    writer = threading.Thread(target=lambda: (link.redis.set("a", "b"), written.set()))
    writer.start()
    assert not written.wait(0.2)
    world.fail_over()
    _announce(world)
    assert written.wait(SOON_S)
    writer.join(SOON_S)
    assert (world.master.asked("SET"), world.other.asked("SET")) == (1, 0)


def test_a_hold_without_a_switch_is_bounded(link: MasterLink, world: World) -> None:
    """A failover that was given up."""
    started_at = time.monotonic()
    _select(world)
    assert wait_for(lambda: link.failover_signal._held_until > 0, SOON_S)
    assert link.run(lambda client: client.set("a", "b"))
    assert 0.5 * HOLD_LIMIT_S < time.monotonic() - started_at < HOLD_LIMIT_S + SOON_S


@pytest.mark.parametrize(
    "channel",
    [
        "-failover-abort-slave-timeout",
        "-failover-abort-no-good-slave",
        "-failover-abort-not-elected",
        "-failover-abort-x-sdown",
        "+failover-end",
        "+failover-end-for-timeout",
    ],
)
def test_the_leaders_word_that_it_is_over_ends_the_hold(
    endless: None, link: MasterLink, world: World, channel: str
) -> None:
    """Nobody is being promoted any more."""
    _select(world, sentinels=slice(1, 2))
    assert wait_for(lambda: _is_held(link), SOON_S)
    _say(world, channel, 1)
    assert wait_for(lambda: not _is_held(link), SOON_S)
    assert link.run(lambda client: client.set("a", "b"))


def test_others_do_not_end_the_leaders_failover(endless: None, link: MasterLink, world: World) -> None:
    """Whoever could would have writes go to the old master, where they are lost."""
    _select(world, sentinels=slice(1, 2))
    assert wait_for(lambda: _is_held(link), SOON_S)
    _say(world, "-failover-abort-not-elected", 0)
    _say(world, "+failover-end", 2)
    _say(world, "-failover-abort-slave-timeout", 1, "othermaster")
    _announce_present_master(world, 0)
    time.sleep(0.3)
    assert _is_held(link)


def _announce_present_master(world: World, place: int) -> None:
    master = world.master.endpoint
    world.sentinels[place].publish(SWITCH, f"mymaster 127.0.0.1 1 {master.host} {master.port}")


@pytest.mark.parametrize("with_ends", [False, True])
def test_forged_choices_of_a_replica_block_nobody_without_end(
    make_link: Callable[..., MasterLink],
    world: World,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    with_ends: bool,
) -> None:
    """One each 0.05 s, also with forged switches and ends in between: commands get through, as soon as a hold is over."""
    monkeypatch.setattr(signal_module, "HOLD_LIMIT_S", 0.5)
    monkeypatch.setattr(signal_module, "NO_HOLD_FOR_S", 10 * SOON_S)
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    _await_all(link)
    signal = link.failover_signal
    stop = threading.Event()

    def forge() -> None:
        while not stop.wait(0.05):
            _select(world, sentinels=slice(0, 1))
            if with_ends:
                _announce_present_master(world, 0)
                _say(world, "-failover-abort-slave-timeout", 0)

    forger = threading.Thread(target=forge)
    forger.start()
    try:
        ends_at, granted_s = time.monotonic() + 2, signal._granted_s
        while time.monotonic() < ends_at:
            assert link.run(lambda client: client.set("a", "b"), deadline_s=SOON_S)
            assert signal._granted_s <= granted_s
            granted_s = signal._granted_s
        assert with_ends or wait_for(lambda: signal._granted_s == 0, SOON_S)
    finally:
        stop.set()
        forger.join(SOON_S)


def test_the_choice_of_another_masters_replica_holds_nobody(link: MasterLink, world: World) -> None:
    """Sentinels may watch several."""
    _select(world, "othermaster")
    time.sleep(0.1)
    assert link.failover_signal._held_until == 0


def test_it_comes_back_to_a_sentinel_that_hung_up(link: MasterLink, world: World) -> None:
    """And asks whether the master has moved meanwhile."""
    # What was asked just now is not asked again.
    assert wait_for(lambda: time.monotonic() - link.directory._asked_at > 2 * FRESH_FOR_S, SOON_S)
    world.fail_over()
    for each in world.sentinels:
        each.hang_up_on_all()
    assert wait_for(lambda: link.directory.master() == world.master.endpoint, SOON_S)
    _await_all(link)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world)
    assert _follows(link, world, seen)


def test_a_sentinel_that_hangs_is_noticed(quick_pings: None, link: MasterLink, world: World) -> None:
    """By a ping that is not answered; the others still count."""
    world.sentinels[0].instead = Hang()
    _await_all(link, 2)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world, sentinels=slice(1, 2))
    assert _follows(link, world, seen)


def test_a_quiet_sentinel_is_not_left(quick_pings: None, link: MasterLink, world: World) -> None:
    """It answers the pings."""
    assert wait_for(lambda: all(each.asked("PING") >= 2 for each in world.sentinels), SOON_S)
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


def test_a_sentinel_that_was_forgotten_is_left(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """Nobody lists it any more."""
    first, second, third = world.sentinels
    first.peers = [second.endpoint, third.endpoint]
    world.sentinels = [first]
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    _await_all(link, 3)
    first.peers = [second.endpoint]
    link.directory._sentinels.learn()
    assert wait_for(lambda: third.open_connections == 0, SOON_S)
    assert set(subscribed_to(link)) == {first.endpoint, second.endpoint}


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
    assert _follows(link, world, seen)


def test_a_user_with_the_first_channel_alone_is_enough(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """Each other channel is refused by itself."""
    refusal = Refusal("NOPERM this user has no permissions to access one of the channels used as arguments")
    for each in world.sentinels:
        for channel in CHANNELS[1:]:
            each.answers = _refusing(each.answers, channel, refusal)
    link = make_link(watch=True)
    link.run(lambda client: client.ping())
    _await_all(link)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world)
    assert _follows(link, world, seen)


def test_a_message_amid_the_subscriptions_is_not_lost(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """The switch may come between the first channel's confirmation and the last one's."""
    old, new = world.master.endpoint, world.other.endpoint
    for each in world.sentinels:
        each.answers = _announcing_early(each, f"mymaster {old.host} {old.port} {new.host} {new.port}")
    link = make_link(watch=True)
    assert wait_for(lambda: link.redis is not None and len(subscribed_to(link)) == 3, SOON_S)
    world.fail_over()
    assert wait_for(lambda: link.directory.last_master == world.master.endpoint, SOON_S)


def _announcing_early(sentinel: FakeSentinel, text: str) -> Callable[[list[str]], object]:
    answers = sentinel.answers

    def answer(words: list[str]) -> object:
        if words == ["SUBSCRIBE", CHANNELS[3]]:
            sentinel.publish(SWITCH, text)
        return answers(words)

    return answer


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
    assert wait_for(lambda: all(each.asked("SUBSCRIBE", SWITCH) >= 3 for each in world.sentinels), SOON_S)
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
    assert wait_for(lambda: subscribed_to(link) == [], SOON_S)
    assert link.redis.ping()
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    for each in world.sentinels:
        each.instead = ...
    _await_all(link)


def test_a_forged_switch_leads_nobody_to_a_stranger(
    make_link: Callable[..., MasterLink], world: World, quick: None
) -> None:
    """One sentinel of three announces and names it: not even a connection is opened there, so no password goes out."""
    link = make_link(watch=True, node_login=Login("app", "secret"))
    link.run(lambda client: client.ping())
    _await_all(link)
    rogue, real = world.sentinels[0], world.master.endpoint
    with FakeNode() as stranger:
        rogue.master = stranger.endpoint
        for _ in range(20):
            rogue.publish(
                SWITCH, f"mymaster {real.host} {real.port} {stranger.endpoint.host} {stranger.endpoint.port}"
            )
            link.redis.connection_pool.disconnect()
            link.directory.invalidate(real)
            link.run(lambda client: client.set("a", "b"))
            time.sleep(0.02)
        assert stranger.connections == 0
    assert world.master.asked("SET") == 20


def test_a_slow_name_server_does_not_delay_a_switch(
    make_link: Callable[..., MasterLink], world: World, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute a name: for the replicas' names, the sentinels' names, and the name of a sentinel to be learned."""
    names = [Endpoint("localhost", each.endpoint.port) for each in world.sentinels]
    for each in world.sentinels:
        each.peers = [Endpoint(f"sentinel-{number}.example", 26379) for number in range(3)]
        each.replicas = [Endpoint("replica.example", 6379)]
    link = make_link(watch=True, sentinels=tuple(names))
    link.run(lambda client: client.ping())
    _await_all(link)
    real, over = socket.getaddrinfo, threading.Event()

    def slow(host: str, *arguments: Any, **more: Any) -> Any:
        if not host.startswith("127."):
            over.wait(2 * SOON_S)
        return real(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver.reset()
    link.directory._sentinels._learn_at = 0.0
    link.directory.invalidate(world.master.endpoint)
    link.directory.master()
    judging = threading.Thread(target=link.directory.knows_node, args=(Endpoint("stranger.example", 6379),))
    judging.start()
    time.sleep(0.1)
    seen = link.failover_signal.count()
    world.fail_over()
    _announce(world)
    assert _follows(link, world, seen)
    assert link.directory.master() == world.master.endpoint
    over.set()
    judging.join(SOON_S)
