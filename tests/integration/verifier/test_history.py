"""The history of the master in a real Redis: one entry an event, however many tell of it, and never too many."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from redis import Redis

from sentinel import Endpoint, MasterLink
from verifier.store import history as history_module
from verifier.store import keyspace
from verifier.store.history import EventKind, HistoryEvent, newest_move, read_history, record_event

ONE, TWO, THREE = (Endpoint("10.0.0.1", port) for port in (6379, 6380, 6381))
SENTINEL = f"sentinel {Endpoint('10.0.0.1', 26379)}"
MOVED = HistoryEvent(EventKind.FAILOVER, ONE, TWO, "the sentinels took it for down", SENTINEL, epoch=7)


@pytest.fixture
def client(link: MasterLink) -> Redis:
    """The app's client, with no more than the app's rights."""
    return link.redis


def test_one_entry_however_many_tell_it_at_once(client: Redis, master: Redis) -> None:
    """Of eight processes that hear the same, one is told that it was the first; the time is Redis's."""
    with ThreadPoolExecutor(8) as executor:
        firsts = list(executor.map(lambda _: record_event(client, MOVED), range(8)))
    assert firsts.count(True) == 1
    [event] = read_history(client, 10)
    assert replace(event, at=0.0) == MOVED
    assert event.at == pytest.approx(float(master.time()[0]), abs=30)


def test_the_command_knows_more_than_the_sentinels(client: Redis) -> None:
    """Whoever comes first, it is one entry, by the person who ordered it, at the earlier of both times."""
    ordered = HistoryEvent(
        EventKind.SWITCHOVER, ONE, TWO, "ordered with `flask sentinel switchover`", "ann on host1", epoch=7
    )
    record_event(client, MOVED, age_s=2)
    earlier = read_history(client, 1)[0].at
    assert record_event(client, ordered) is False
    assert [replace(each, at=0.0) for each in read_history(client, 10)] == [ordered]
    assert read_history(client, 1)[0].at == pytest.approx(earlier, abs=0.001)
    record_event(client, MOVED)
    assert [each.kind for each in read_history(client, 10)] == [EventKind.SWITCHOVER]


@pytest.mark.parametrize(
    "other",
    [
        replace(MOVED, epoch=8),
        replace(MOVED, old=TWO, new=ONE, epoch=8),
        replace(MOVED, kind=EventKind.ROGUE),
        replace(MOVED, kind=EventKind.FAILOVER_ABORTED, new=None),
    ],
    ids=["a later move", "back again", "another kind", "an attempt"],
)
def test_another_event_is_another_entry(client: Redis, other: HistoryEvent) -> None:
    """However soon it follows."""
    assert record_event(client, MOVED)
    assert record_event(client, other)
    assert len(read_history(client, 10)) == 2


def test_without_an_epoch_the_time_tells(client: Redis) -> None:
    """Half a minute is the same move told late; what was long ago is another one."""
    unknown = replace(MOVED, epoch=None)
    assert record_event(client, unknown, age_s=600)
    assert record_event(client, unknown, age_s=20)
    assert not record_event(client, unknown)
    assert not record_event(client, MOVED, age_s=10)


def test_an_event_of_long_ago_stands_where_it_belongs(client: Redis) -> None:
    """What could not be written while Redis was away."""
    record_event(client, replace(MOVED, old=TWO, new=THREE, epoch=8))
    record_event(client, MOVED, age_s=90)
    events = read_history(client, 10)
    assert [each.new for each in events] == [THREE, TWO]
    assert events[0].at - events[1].at == pytest.approx(90, abs=30)
    assert newest_move(events) == events[0]


def test_it_is_bounded(client: Redis, master: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number, and in age."""
    monkeypatch.setattr(history_module, "MOST_EVENTS", 5)
    for epoch in range(9):
        record_event(client, replace(MOVED, epoch=epoch))
    assert [each.epoch for each in read_history(client, 10)] == [8, 7, 6, 5, 4]
    assert [each.epoch for each in read_history(client, 2)] == [8, 7]
    monkeypatch.setattr(history_module, "LIFE_S", 3600)
    old = master.zrange(keyspace.HISTORY, 0, 2)
    master.zadd(keyspace.HISTORY, dict.fromkeys(old, 1.0))
    record_event(client, replace(MOVED, epoch=9))
    assert [each.epoch for each in read_history(client, 10)] == [9, 8, 7]
    assert 0 < master.pttl(keyspace.HISTORY) <= 3600 * 1000


def test_it_is_written_although_redis_is_full(client: Redis, master: Redis) -> None:
    """When Redis is full an operator wants to know what happened."""
    before = master.config_get("maxmemory")["maxmemory"]
    record_event(client, replace(MOVED, epoch=6))
    master.config_set("maxmemory", 1)
    try:
        assert record_event(client, MOVED)
    finally:
        master.config_set("maxmemory", before)
    assert [each.epoch for each in read_history(client, 10)] == [7, 6]


def test_what_nobody_can_read_hides_nothing(client: Redis, master: Redis) -> None:
    """Neither rubbish, nor a kind of event that a later release knows."""
    later = {"kind": "teleported", "from": "", "to": "", "why": "", "by": "", "epoch": "", "at": "1"}
    master.zadd(keyspace.HISTORY, {"rubbish": 4e9, json.dumps(later): 4e9 + 1, "7": 4e9 + 2})
    assert record_event(client, MOVED)
    assert [each.epoch for each in read_history(client, 10)] == [7]
