"""Each error of Redis at each step of a worker's loops: it goes on, and the mail is sent exactly once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from sentinel import Endpoint, MasterLink, MasterUnknown, NotAcknowledged, wait_for
from sentinel.error_classes import translate
from sentinel.link.connections import MasterConnection
from tests.support.sink import MailSink
from tests.support.stores import Store
from tests.support.workers import RunningWorker
from verifier.domain.verifications import DeliveryStatus, Verification
from verifier.settings import Settings
from verifier.store import deliveries, keyspace
from verifier.store.scripts import Step, run_steps
from verifier.store.verifications import ACCEPT
from workers import maintenance, retry_policy, worker

NODE = Endpoint("redis-1", 6379)

# As redis-py raises them; what a connection of ours makes of them is what the worker sees.
ERRORS: dict[str, Exception] = {
    "UNBLOCKED": ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"),
    "READONLY": ReadOnlyError("You can't write against a read only replica."),
    "LOADING": BusyLoadingError("Redis is loading the dataset in memory"),
    "MASTERDOWN": MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    "NOREPLICAS": ResponseError("NOREPLICAS Not enough good replicas to write."),
    "MISCONF": ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
    "OOM": OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    "NOAUTH": AuthenticationError("Authentication required."),
    "reset": ConnectionResetError(104, "Connection reset by peer"),
    "timeout": redis.TimeoutError("Timeout reading from redis-1:6379"),
    "closed": redis.ConnectionError("Connection closed by server."),
    "unknown": MasterUnknown("No sentinel names a master."),
    "unacknowledged": NotAcknowledged("0 of 1 replicas acknowledged the write."),
}
# What leaves open whether the step was done.
AMBIGUOUS = ("reset", "timeout", "closed", "unacknowledged")

SCRIPTS = ("claim", "recall", "settle", "extend", "overdue", "requeue")
OTHERS = ("wait for jobs", "announce", "subscribe")


class Faults:
    """Errors that wait for a step; each is raised once, before the step or after it was done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[str, tuple[Exception, bool]] = {}
        self.raised = 0

    def arm(self, step: str, error: Exception, *, after: bool = False) -> None:
        """Have the next such step fail."""
        with self._lock:
            self._armed[step] = (error, after)

    @property
    def all_raised(self) -> bool:
        """Whether no error waits any more."""
        return not self._armed

    def around(self, step: str, work: Callable[[], Any]) -> Any:
        """Do a step, or fail as was ordered."""
        with self._lock:
            error, after = self._armed.pop(step, (None, False))
        if error is None:
            return work()
        if after:
            work()
        self.raised += 1
        raise translate(error, NODE)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Errors for every step of workers that are made from now on."""
    made = Faults()

    def faulty_run_steps(client: Redis, steps: list[Step], *arguments: Any, **options: Any) -> Any:
        return made.around(steps[0].script.name, lambda: run_steps(client, steps, *arguments, **options))

    monkeypatch.setattr(deliveries, "run_steps", faulty_run_steps)
    real_announce = worker.MailWorker.announce
    monkeypatch.setattr(
        worker.MailWorker, "announce", lambda self: made.around("announce", lambda: real_announce(self))
    )
    real_death = worker.MailWorker.register_death
    monkeypatch.setattr(
        worker.MailWorker,
        "register_death",
        lambda self: made.around("register_death", lambda: real_death(self)),
    )
    real_blmove = Redis.blmove
    monkeypatch.setattr(
        Redis, "blmove", lambda self, *some: made.around("wait for jobs", lambda: real_blmove(self, *some))
    )
    real_send = MasterConnection.send_command

    def faulty_send(self: MasterConnection, *words: Any, **more: Any) -> Any:
        if words[0] != "SUBSCRIBE":
            return real_send(self, *words, **more)
        return made.around("subscribe", lambda: real_send(self, *words, **more))

    monkeypatch.setattr(MasterConnection, "send_command", faulty_send)
    return made


@pytest.fixture
def running(faults: Faults, mailing: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWorker]:
    """A worker that does everything often, with those errors in its way."""
    monkeypatch.setattr(worker, "BLOCK_S", 0.1)
    monkeypatch.setattr(retry_policy, "LONGEST_WAIT_S", 0.2)
    for name in ("RECOVER_EVERY_S", "EXTEND_EVERY_S", "ANNOUNCE_EVERY_S"):
        monkeypatch.setattr(maintenance, name, 0.02)
    with RunningWorker(mailing) as made:
        yield made


class Bench:
    """Submissions, and what became of them."""

    def __init__(self, store: Store, sink: MailSink, link: MasterLink, master: Redis) -> None:
        self._store = store
        self._sink = sink
        self._link = link
        self._master = master
        self._numbers = itertools.count()

    def submit(self, *, lose_job: bool = False) -> Verification:
        """Accept a mail; with `lose_job` it is due and only recovery can bring it into the queue."""
        verification = self._store.new()
        address = f"person-{next(self._numbers)}@example.org"
        verification = type(verification)(**{**vars(verification), "address": address})
        if lose_job:
            self._accept_without_job(verification)
        else:
            self._accept(verification)
        return verification

    def _accept(self, verification: Verification) -> None:
        self._store.accept(verification.id, verification.address, verification.key_id, 600)

    def _accept_without_job(self, verification: Verification) -> None:
        steps: list[Step] = []
        self._store._commit, before = (lambda step: steps.append(step)), self._store._commit  # type: ignore[method-assign,func-returns-value] # noqa: PLW0108
        with pytest.raises(TypeError):  # the answer is missing, since nothing was asked
            self._accept(verification)
        self._store._commit = before  # type: ignore[method-assign]
        [step] = steps
        elsewhere = [key if key != keyspace.QUEUE else "rq:queue:lost" for key in step.keys]
        arguments = list(step.arguments)
        arguments[1] = -1  # look after it: a second ago
        run_steps(self._link.redis, [Step(ACCEPT, elsewhere, arguments)], None)

    def is_sent(self, verification: Verification) -> bool:
        """Whether the record says so."""
        return self._store.get(verification.id).delivery.status is DeliveryStatus.SENT

    def mails_to(self, verification: Verification) -> int:
        """Return how many mails came for it."""
        return len(self._sink.sent_to(verification.address))


@pytest.fixture
def bench(store: Store, sink: MailSink, link: MasterLink, master: Redis) -> Bench:
    """Submissions on the shared topology."""
    return Bench(store, sink, link, master)


def _needs_time_to_send(step: str) -> bool:
    return step == "extend"


@pytest.mark.parametrize("step", [*SCRIPTS, *OTHERS])
def test_no_error_ends_the_worker_or_repeats_a_mail(
    step: str, bench: Bench, faults: Faults, running: RunningWorker, sink: MailSink
) -> None:
    """Whichever step it meets, before the step was done."""
    sink.delay_s = 0.15 if _needs_time_to_send(step) else 0
    submitted = []
    for error in ERRORS.values():
        if step == "recall":  # only asked for after a claim of which nobody knows
            faults.arm("claim", redis.TimeoutError("Timeout reading"), after=True)
        if step == "subscribe":  # only done again after the connection was lost
            running.wait(lambda: _hang_up_on_commands(running))
        faults.arm(step, error)
        submitted.append(bench.submit(lose_job=step == "requeue"))
        running.wait(lambda: faults.all_raised)
        running.wait(lambda: bench.is_sent(submitted[-1]))
    assert faults.raised == len(ERRORS) * (2 if step == "recall" else 1)
    assert [bench.mails_to(each) for each in submitted] == [1] * len(ERRORS)


def _hang_up_on_commands(running: RunningWorker) -> bool:
    """Cut the connection of the thread that listens for commands, once it has one."""
    pool = running.worker._command_listener._pool
    subscribed = [each for each in pool._in_use_connections if each.is_connected]
    for connection in subscribed:
        connection.hang_up()
    return bool(subscribed)


@pytest.mark.parametrize("step", ["claim", "recall", "settle", "requeue", "extend", "overdue", "announce"])
def test_no_lost_answer_ends_the_worker_or_repeats_a_mail(
    step: str, bench: Bench, faults: Faults, running: RunningWorker, sink: MailSink
) -> None:
    """Whichever step was done without anybody knowing."""
    sink.delay_s = 0.15 if _needs_time_to_send(step) else 0
    submitted = []
    for kind in AMBIGUOUS:
        if step == "recall":
            faults.arm("claim", redis.TimeoutError("Timeout reading"), after=True)
        faults.arm(step, ERRORS[kind], after=True)
        submitted.append(bench.submit(lose_job=step == "requeue"))
        running.wait(lambda: faults.all_raised)
        running.wait(lambda: bench.is_sent(submitted[-1]))
    assert [bench.mails_to(each) for each in submitted] == [1] * len(AMBIGUOUS)
    # The record says so a moment before the worker has counted it.
    running.wait(lambda: running.worker._settler.sent == len(AMBIGUOUS))


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_keeps_a_worker_from_ending_well(
    kind: str, faults: Faults, mailing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saying goodbye to RQ is not worth waiting for."""
    monkeypatch.setattr(worker, "BLOCK_S", 0.1)
    with RunningWorker(mailing, burst=True) as made:
        faults.arm("register_death", ERRORS[kind])
        assert made.ended(10)
    assert wait_for(lambda: faults.raised == 1, 60)


def test_a_mistake_of_ours_does_not_end_the_worker_either(
    bench: Bench, faults: Faults, running: RunningWorker
) -> None:
    """An exception that no state of Redis explains is logged, and the loops go on."""
    submitted = []
    for step in ("claim", "overdue", "announce", "wait for jobs"):
        faults.arm(step, ZeroDivisionError("a mistake"))
        submitted.append(bench.submit())
        running.wait(lambda: faults.all_raised)
        running.wait(lambda: bench.is_sent(submitted[-1]))
    assert [bench.mails_to(each) for each in submitted] == [1] * len(submitted)
