"""Which sentinels are learned from those of the settings, and which are forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sentinel.access import Access
from sentinel.endpoints import Endpoint
from sentinel.link.cooldowns import Cooldowns
from sentinel.link.known_sentinels import MAX_LEARNED_SENTINELS, KnownSentinels
from tests.support.fake_redis import FakeSentinel, Hang

MASTER, STRANGER = Endpoint("127.0.0.1", 7001), Endpoint("127.0.0.1", 7009)

Start = Callable[[int], list[FakeSentinel]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts so many sentinels, all of which list each other."""
    with ExitStack() as stack:

        def start_some(how_many: int) -> list[FakeSentinel]:
            started = [stack.enter_context(FakeSentinel(MASTER)) for _ in range(how_many)]
            for each in started:
                each.peers = [peer.endpoint for peer in started if peer is not each]
            return started

        yield start_some


def _known(*configured: Endpoint) -> KnownSentinels:
    return KnownSentinels(Access(configured, "mymaster", sentinel_timeout_s=0.3), Cooldowns())


def test_one_configured_sentinel_is_enough_to_start_from(start: Start) -> None:
    """It is the only one there is to believe."""
    first, second, third = start(3)
    sentinels = _known(first.endpoint)
    sentinels.learn()
    assert sentinels.endpoints() == (first.endpoint, second.endpoint, third.endpoint)


def test_what_a_majority_lists_is_learned(start: Start) -> None:
    """A sentinel that was added after the settings were written."""
    *configured, added = start(4)
    sentinels = _known(*(each.endpoint for each in configured))
    sentinels.learn()
    assert sentinels.endpoints()[3:] == (added.endpoint,)


def test_nobody_is_learned_from_one_of_several(start: Start) -> None:
    """A rogue among three would get its helpers our password and a majority of the votes."""
    rogue, *others = start(3)
    rogue.peers = [*rogue.peers, STRANGER]
    sentinels = _known(rogue.endpoint, *(each.endpoint for each in others))
    sentinels.learn()
    assert len(sentinels.endpoints()) == 3


def test_nobody_is_learned_from_one_alone_while_the_others_are_away(start: Start) -> None:
    """It would be a majority of those that answer."""
    rogue, *others = start(3)
    rogue.peers = [*rogue.peers, STRANGER]
    for each in others:
        each.instead = Hang()
    sentinels = _known(rogue.endpoint, *(each.endpoint for each in others))
    sentinels.learn()
    assert len(sentinels.endpoints()) == 3


def test_what_nobody_lists_any_more_is_forgotten(start: Start) -> None:
    """Without an answer nothing changes."""
    first, second, third = start(3)
    sentinels = _known(first.endpoint)
    sentinels.learn()
    first.peers, first.instead = [second.endpoint], Hang()
    sentinels.learn()
    assert third.endpoint in sentinels.endpoints()
    sentinels._cooldowns.worked(first.endpoint)
    first.instead = ...
    sentinels.learn()
    assert sentinels.endpoints() == (first.endpoint, second.endpoint)


def test_one_that_is_down_is_not_forgotten(start: Start) -> None:
    """The others still list it."""
    first, second, third = start(3)
    sentinels = _known(first.endpoint)
    sentinels.learn()
    down = [
        ["ip", each.endpoint.host, "port", str(each.endpoint.port), "flags", "s_down,sentinel"]
        for each in (second, third)
    ]
    first.instead = down
    sentinels.learn()
    assert len(sentinels.endpoints()) == 3
    late = _known(first.endpoint)
    late.learn()
    assert late.endpoints() == (first.endpoint,)


def test_a_sentinel_does_not_vote_twice_under_two_names(start: Start) -> None:
    """As when the settings have a host name and its peers its address."""
    named, other = start(2)
    configured = [Endpoint("localhost", each.endpoint.port) for each in (named, other)]
    sentinels = _known(*configured)
    sentinels.learn()
    assert sentinels.endpoints() == tuple(configured)
    alone = _known(configured[0])
    alone.learn()
    assert alone.endpoints() == (configured[0], other.endpoint)


def test_no_more_than_a_few_sentinels_are_learnt(start: Start) -> None:
    """Whatever somebody tells us, our memory and our threads are bounded."""
    [known] = start(1)
    known.peers = [Endpoint("127.0.0.1", 20_000 + number) for number in range(100)]
    sentinels = _known(known.endpoint)
    sentinels.learn()
    assert len(sentinels.endpoints()) == 1 + MAX_LEARNED_SENTINELS
