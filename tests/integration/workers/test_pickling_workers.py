"""A stock RQ worker that was started without RQ's JSON serializer, on our queue: it runs nothing of ours."""

from __future__ import annotations

import logging
import pickle

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from sentinel import MasterLink
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.workers import RunningWorker
from verifier.domain.verifications import DeliveryStatus
from verifier.settings import Settings
from verifier.store import keyspace
from workers import maintenance


@pytest.fixture
def pickling(link: MasterLink) -> SimpleWorker:
    """A worker as `rq worker verifier-mail` starts it: it takes for a pickle what stands in a job."""
    return SimpleWorker([keyspace.Queue().name], connection=link.client(timeout_s=30))


@pytest.fixture
def store(mailing: Settings, link: MasterLink) -> Store:
    """The store, on settings with a relay behind them."""
    return Store(link, mailing)


@pytest.fixture
def run_by_rq(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that RQ gets to run."""
    run: list[str] = []
    perform = Job._execute

    def noted(job: Job) -> object:
        run.append(job.func_name)
        return perform(job)

    monkeypatch.setattr(Job, "_execute", noted)
    return run


def test_our_jobs_are_no_pickles(store: Store, master: Redis) -> None:
    """Whoever reads them as such gets an error, and no object."""
    verification = store.accepted()
    with store._link.client(timeout_s=5) as client:
        data = client.hget(keyspace.JOB_PREFIX + keyspace.job_id(verification.id, 1), "data")
    assert isinstance(data, bytes)
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(data)  # noqa: S301 - it raises


def test_a_pickling_worker_runs_whatever_a_pickle_says(pickling: SimpleWorker, run_by_rq: list[str]) -> None:
    """Who may write to Redis may run anything in it: that is why the project's own worker is the one to start."""
    Queue(keyspace.Queue().name, connection=pickling.connection).enqueue("operator.add", 1, 2, result_ttl=5)
    pickling.work(burst=True)
    assert run_by_rq == ["operator.add"]


def test_a_pickling_worker_runs_nothing_and_no_mail_is_lost(
    *,
    pickling: SimpleWorker,
    store: Store,
    mailing: Settings,
    sink: MailSink,
    master: Redis,
    run_by_rq: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes the jobs and fails them; recovery queues the mails again, and our own worker sends each once."""
    caplog.set_level(logging.CRITICAL)
    accepted = [store.accepted() for _ in range(3)]
    pickling.work(burst=True)
    assert run_by_rq == []
    assert sink.mails == []
    assert master.llen(keyspace.QUEUE) == 0
    assert master.zcard(keyspace.DUE) == 3
    monkeypatch.setattr(maintenance, "RECOVER_EVERY_S", 0.1)
    with RunningWorker(mailing) as ours:
        ours.wait(lambda: len(sink.mails) == 3, 60)
        ours.wait(lambda: all(store.get(each.id).delivery.status is DeliveryStatus.SENT for each in accepted))
    assert len(sink.mails) == 3
