"""Announcements that are hints until a majority confirms them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sentinel.endpoints import Endpoint
from sentinel.link import hints as hints_module
from sentinel.link.directory import Directory
from sentinel.link.hints import LEAST_PAUSE_S, Hints
from sentinel.local.waiting import wait_for
from tests.support.fake_redis import Hang

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World

SOON_S = 30.0
STRANGER = Endpoint("127.0.0.1", 7009)


@pytest.fixture
def sentinel_timeout_s() -> float:
    """For longer than any of these tests waits."""
    return 2 * SOON_S


@pytest.fixture
def directory(world: World, sentinel_timeout_s: float) -> Iterator[Directory]:
    """A directory that asks the sentinels of the world."""
    made = Directory(world.access(sentinel_timeout_s=sentinel_timeout_s))
    yield made
    made.close()


@pytest.fixture
def followed() -> list[Endpoint]:
    """Whom the hints made us follow."""
    return []


@pytest.fixture
def hints(directory: Directory, followed: list[Endpoint], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hints]:
    """Hints for that directory, which stay fresh for as long as a busy machine may take."""
    monkeypatch.setattr(hints_module, "FRESH_FOR_S", SOON_S)
    monkeypatch.setattr(hints_module, "FOLLOWED_FOR_S", SOON_S)
    made = Hints(directory, followed.append)
    yield made
    made.stop()
    assert wait_for(lambda: not made._runs, SOON_S)


def test_a_switch_that_all_confirm_is_followed_at_once(
    hints: Hints, world: World, followed: list[Endpoint]
) -> None:
    """And once, however many announce it."""
    world.fail_over()
    for each in world.sentinels:
        hints.add(each.endpoint, world.master.endpoint)
    assert wait_for(lambda: bool(followed), SOON_S)
    assert wait_for(lambda: not hints._runs, SOON_S)
    assert followed == [world.master.endpoint]


def test_a_switch_is_followed_as_soon_as_a_majority_confirms_it(
    hints: Hints, world: World, followed: list[Endpoint]
) -> None:
    """The first to announce it is ahead of the others."""
    first, second, _ = world.sentinels
    first.master = world.other.endpoint
    hints.add(first.endpoint, world.other.endpoint)
    time.sleep(0.3)
    assert followed == []
    second.master = world.other.endpoint
    assert wait_for(lambda: bool(followed), SOON_S)


def test_a_sentinel_that_stalls_does_not_hide_that_the_others_agree(
    hints: Hints, directory: Directory, world: World, followed: list[Endpoint]
) -> None:
    """The leader writes its configuration to disk at that moment; whoever asks for the master goes on as well."""
    first, second, leader = world.sentinels
    leader.instead = Hang()
    first.master = world.other.endpoint
    hints.add(first.endpoint, world.other.endpoint)
    time.sleep(0.03)
    second.master = world.other.endpoint
    assert wait_for(lambda: bool(followed), SOON_S)


def test_whoever_asks_is_not_kept_from_what_was_confirmed(directory: Directory, world: World) -> None:
    """The question waits for a sentinel that stalls, and need not any more."""
    first, second, leader = world.sentinels
    leader.instead = Hang()
    first.master = world.other.endpoint
    threading.Timer(0.05, directory.announced, [world.other.endpoint]).start()
    started_at = time.monotonic()
    assert directory.master() == world.other.endpoint
    # By itself the question ends after 5 s.
    assert time.monotonic() - started_at < 4
    assert second.asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME") == 1


def test_one_sentinel_alone_is_not_believed(
    hints: Hints,
    world: World,
    followed: list[Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However often it says so; the operator hears of it once."""
    monkeypatch.setattr(hints_module, "FRESH_FOR_S", 0.2)
    rogue = world.sentinels[0]
    rogue.master = STRANGER
    for _ in range(20):
        hints.add(rogue.endpoint, STRANGER)
        time.sleep(0.02)
    assert wait_for(lambda: not hints._runs, SOON_S)
    hints.add(rogue.endpoint, STRANGER)
    assert wait_for(lambda: not hints._runs, SOON_S)
    assert followed == []
    [told] = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert str(rogue.endpoint) in told
    assert str(STRANGER) in told


def test_forged_hints_do_not_hide_the_right_one(hints: Hints, world: World, followed: list[Endpoint]) -> None:
    """Each sentinel has its own."""
    rogue, honest, _ = world.sentinels
    world.fail_over()
    rogue.master = STRANGER
    hints.add(honest.endpoint, world.master.endpoint)
    for _ in range(10):
        hints.add(rogue.endpoint, STRANGER)
    assert wait_for(lambda: followed == [world.master.endpoint], SOON_S)


def test_many_hints_are_not_many_questions(hints: Hints, world: World) -> None:
    """A flood of announcements is not passed on to the other sentinels."""
    rogue, honest, _ = world.sentinels
    begun_at = time.monotonic()
    while time.monotonic() < begun_at + 0.5:
        hints.add(rogue.endpoint, STRANGER)
        time.sleep(0.0005)
    asked = honest.asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME")
    assert asked <= (time.monotonic() - begun_at) / LEAST_PAUSE_S + 2


@pytest.mark.parametrize("sentinel_timeout_s", [1.0])
def test_sentinels_that_are_away_are_no_majority(
    hints: Hints, world: World, followed: list[Endpoint]
) -> None:
    """A majority is one of those that can be reached; one that may still answer counts until it is given up."""
    world.fail_over()
    for each in world.sentinels[1:]:
        each.instead = Hang()
    begun_at = time.monotonic()
    hints.add(world.sentinels[0].endpoint, world.master.endpoint)
    assert wait_for(lambda: bool(followed), SOON_S)
    assert time.monotonic() - begun_at >= 0.9


def test_adding_a_hint_waits_for_nobody(hints: Hints, world: World) -> None:
    """The watcher goes on reading what the other sentinels say."""
    for each in world.sentinels:
        each.instead = Hang()
    started_at = time.monotonic()
    for _ in range(100):
        hints.add(world.sentinels[0].endpoint, STRANGER)
    assert time.monotonic() - started_at < SOON_S / 2
    assert sum(thread.name == "sentinel-hints" for thread in threading.enumerate()) == 1
