"""The minutes' figures in a real Redis: bounded, written by workers with their heartbeats, and never twice."""

from __future__ import annotations

import pytest
from redis import Redis

from sentinel import LocalTopology, MasterLink, TransientError, wait_for
from tests.support.sink import MailSink
from tests.support.stores import Store, lose_answers
from tests.support.workers import RunningWorker
from verifier.settings import Settings
from verifier.store import keyspace
from verifier.store.keyspace import Queue
from verifier.store.ops import series
from verifier.store.ops.series import Minute, SeriesReader, Tally, note_minute

QUEUE = Queue()


def total(client: Redis, name: str) -> float:
    """Return the sum of one figure over all minutes, however many the test ran over."""
    return float(sum(getattr(each, name) or 0 for each in SeriesReader().read(client).minutes))


def test_what_a_worker_did_is_counted_once(link: MasterLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although an answer gets lost; and a worker whose totals were forgotten tells only what is new."""
    client, tally = link.redis, Tally()
    tally.add(series.SENT, 7)
    lose_answers(monkeypatch, series)
    with pytest.raises(TransientError):
        tally.write(client, QUEUE, "w1")
    tally.add(series.SENT, 2)
    tally.write(client, QUEUE, "w1")
    assert total(client, "sent") == 9
    client.unlink(f"{keyspace.COUNTED_PREFIX}w1")
    tally.add(series.REJECTED)
    tally.write(client, QUEUE, "w1")
    assert (total(client, "sent"), total(client, "rejected")) == (9, 1)


def test_what_is_owed_is_told_without_a_worker(link: MasterLink, store: Store) -> None:
    """And what was accepted, with its age; each minute has its own end."""
    note_minute(link.redis, QUEUE)
    for _ in range(3):
        store.accepted()
    note_minute(link.redis, QUEUE)
    shown = SeriesReader().read(link.redis).minutes
    assert len(shown) == series.SHOWN
    assert [each for each in shown if each.owed][-1].owed == 3
    [*_, newest] = [each.number for each in shown if each.owed is not None]
    assert 0 < link.redis.ttl(f"{keyspace.MINUTE_PREFIX}{newest}") <= (series.SHOWN + 5) * 60


def test_the_reader_asks_for_what_may_have_changed_only(link: MasterLink, master: Redis) -> None:
    """A hundred walls must not read two hours each second; what a worker adds late to the last minute is seen."""
    reader = SeriesReader()
    reader.read(link.redis)
    before = calls_of(master, "hgetall")
    note_minute(link.redis, QUEUE)
    assert isinstance(reader.read(link.redis).minutes[-1], Minute)
    assert calls_of(master, "hgetall") - before <= 4


def calls_of(client: Redis, command: str) -> int:
    """Return how often a command was run."""
    stats = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))  # type: ignore[union-attr]


@pytest.mark.usefixtures("master")
def test_a_worker_counts_what_it_sends(
    mailing: Settings, store: Store, sink: MailSink, topology: LocalTopology
) -> None:
    """And names the relays with its heartbeat."""
    store.accepted()
    with RunningWorker(mailing) as running:
        running.wait(lambda: bool(sink.mails))
        client = store._link.redis
        assert wait_for(lambda: total(client, "sent") == 1, 30)
