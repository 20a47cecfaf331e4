"""The worker on a real topology: it sends, RQ's tools see and steer it, and it stops when told to."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.command import send_shutdown_command
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from sentinel import LocalNode, LocalTopology, MasterLink, wait_for
from tests.support.sink import MailSink
from tests.support.stores import Store, due_in_s, waiting_jobs
from tests.support.workers import RunningWorker
from verifier.domain.codes import code_of
from verifier.domain.keys import new_secret
from verifier.domain.verifications import DeliveryStatus, Verification
from verifier.settings import Settings
from verifier.store import deliveries, keyspace
from verifier.store.deliveries import Claim, Settlement
from verifier.wiring import deliveries_of
from workers import container, in_flight, jobs, maintenance, worker
from workers.container import worker_container_of
from workers.smtp.relay_settings import RelaySettings

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "ann@example.org"


@pytest.fixture
def store(mailing: Settings, link: MasterLink) -> Store:
    """The store, on settings with a relay behind them."""
    return Store(link, mailing)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process wait for jobs in shorter pieces, so that they stop sooner."""
    monkeypatch.setattr(worker, "BLOCK_S", 0.2)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that look after things ten times as often, so that nobody waits for them."""
    monkeypatch.setattr(maintenance, "RECOVER_EVERY_S", 0.1)
    monkeypatch.setattr(maintenance, "ANNOUNCE_EVERY_S", 0.1)


def _is_sent(store: Store, verification: Verification) -> bool:
    return store.get(verification.id).delivery.status is DeliveryStatus.SENT


def _seen_by_rq(link: MasterLink) -> list[Worker]:
    return Worker.all(connection=link.redis, serializer=JSONSerializer)


def test_a_worker_sends_the_mail(store: Store, mailing: Settings, sink: MailSink, master: Redis) -> None:
    """With the code; the record says so, and nothing is owed any more."""
    with RunningWorker(mailing) as running:
        verification = store.accepted()
        mail = sink.wait_for_mail(ADDRESS)
        running.wait(lambda: _is_sent(store, verification))
    code = code_of(verification.id, ADDRESS, verification.key_id, mailing.keys, mailing.rules)
    assert str(code) in str(mail["Subject"])
    delivery = store.get(verification.id).delivery
    assert delivery.tries == 1
    assert delivery.sent_at is not None
    assert "kept" in delivery.relay_reply
    assert master.zcard(keyspace.DUE) == 0
    assert waiting_jobs(master) == []
    assert len(sink.mails) == 1


def test_many_mails_are_each_sent_once(store: Store, mailing: Settings, sink: MailSink) -> None:
    """By two workers side by side, more than either may have in flight."""
    accepted = [store.accepted() for _ in range(100)]
    with RunningWorker(mailing) as first, RunningWorker(mailing):
        first.wait(lambda: len(sink.mails) >= 100, 60)
        first.wait(lambda: all(_is_sent(store, each) for each in accepted))
    assert len(sink.mails) == 100
    assert len({mail["Message-ID"] for mail in sink.mails}) == 100


def test_an_idle_connection_to_the_relay_is_closed(
    store: Store, mailing: Settings, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the worker, with a QUIT, while it works on; the next mail opens another one."""
    peers: list[object] = []

    async def handle_quit(_server: SMTP, session: Session, _envelope: Envelope) -> str:
        peers.append(session.peer)
        return "221 2.0.0 bye"

    monkeypatch.setattr(sink, "handle_QUIT", handle_quit, raising=False)
    monkeypatch.setattr(container, "RelaySettings", partial(RelaySettings, max_idle_s=0.5))
    with RunningWorker(mailing) as running:
        for mails in (1, 2):
            store.accepted()
            running.wait(lambda: len(sink.mails) == mails)  # noqa: B023 - called in this round
            running.wait(lambda: len(peers) == mails)  # noqa: B023 - the same
            assert running.is_alive
    assert len(set(peers)) == len(peers) == 2


def test_a_resend_has_a_message_id_of_its_own_and_the_same_code(
    store: Store, mailing: Settings, sink: MailSink
) -> None:
    """Mailboxes must not fold the second mail into the first."""
    with RunningWorker(mailing) as running:
        verification = store.accepted()
        running.wait(lambda: len(sink.mails) == 1)
        store.resent(verification)
        running.wait(lambda: len(sink.mails) == 2)
    first, second = sink.mails
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Subject"] == second["Subject"]


@pytest.mark.usefixtures("eager")
def test_a_deferred_mail_is_sent_later(
    store: Store, mailing: Settings, sink: MailSink, master: Redis
) -> None:
    """After a relay's "not now", without anybody's doing; it is the same mail."""
    sink.replies = ["451 4.7.1 not now"]
    with RunningWorker(mailing) as running:
        verification = store.accepted()
        running.wait(lambda: store.get(verification.id).delivery.status is DeliveryStatus.DEFERRED)
        assert "not now" in store.get(verification.id).delivery.relay_reply
        assert master.zadd(keyspace.DUE, {verification.id: 1}, xx=True, ch=True) == 1
        running.wait(lambda: _is_sent(store, verification))
    assert store.get(verification.id).delivery.tries == 2
    assert len(sink.mails) == 1


def test_a_rejected_mail_is_not_tried_again(
    store: Store, mailing: Settings, sink: MailSink, master: Redis
) -> None:
    """The relay's word is kept for the operators."""
    sink.replies = ["550 5.1.1 no such mailbox"]
    with RunningWorker(mailing) as running:
        verification = store.accepted()
        running.wait(lambda: store.get(verification.id).delivery.status is DeliveryStatus.REJECTED)
    assert "no such mailbox" in store.get(verification.id).delivery.relay_reply
    assert master.zcard(keyspace.DUE) == 0
    assert sink.mails == []


@pytest.mark.usefixtures("eager")
def test_rqs_tools_see_the_worker(link: MasterLink, mailing: Settings) -> None:
    """While it lives, with its name, state and queue; and not any more afterwards."""
    with RunningWorker(mailing, name="our-worker") as running:
        running.wait(lambda: bool(_seen_by_rq(link)))
        [seen] = _seen_by_rq(link)
        assert seen.name == "our-worker"
        assert seen.get_state() == "idle"
        assert seen.queue_names() == [keyspace.Queue().name]
        assert seen.pid == os.getpid()
        assert Worker.count(queue=Queue(keyspace.Queue().name, connection=link.redis)) == 1
        listed = _rq_info(link)
        assert "our-worker" in listed
    assert _seen_by_rq(link) == []


def _rq_info(link: MasterLink) -> str:
    """Return what `rq info` prints, as its own code makes it."""
    import contextlib  # noqa: PLC0415 - used once
    import io  # noqa: PLC0415

    from rq.cli.helpers import show_workers  # noqa: PLC0415
    from rq.worker import Worker as RQWorker  # noqa: PLC0415

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        show_workers(
            [], raw=True, by_queue=False, connection=link.redis, queue_class=Queue, worker_class=RQWorker
        )
    return printed.getvalue()


def test_a_worker_that_said_goodbye_stays_away(
    link: MasterLink, mailing: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its maintenance does not announce it once more, nor fail on what is closed already."""
    for name in ("RECOVER_EVERY_S", "ANNOUNCE_EVERY_S"):
        monkeypatch.setattr(maintenance, name, 0.0)
    announce = worker.MailWorker.announce

    def announce_slowly(self: worker.MailWorker) -> None:
        time.sleep(0.3)  # in the middle of which the worker is told to stop
        announce(self)

    monkeypatch.setattr(worker.MailWorker, "announce", announce_slowly)
    with RunningWorker(mailing) as running:
        running.wait(lambda: len(_seen_by_rq(link)) == 1)
    running.worker._maintenance._thread.join(30)
    assert _seen_by_rq(link) == []
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


@pytest.mark.usefixtures("eager")
def test_a_worker_is_seen_again_after_redis_forgot_it(
    link: MasterLink, mailing: Settings, master: Redis
) -> None:
    """Its record is written whole each time."""
    with RunningWorker(mailing, name="forgotten") as running:
        running.wait(lambda: bool(_seen_by_rq(link)))
        master.flushall()
        running.wait(lambda: [each.name for each in _seen_by_rq(link)] == ["forgotten"])


@pytest.mark.usefixtures("eager")
def test_work_is_suspended_and_resumed(
    store: Store, mailing: Settings, sink: MailSink, link: MasterLink, master: Redis
) -> None:
    """By RQ's own commands; what comes meanwhile waits, and is not piled up by recovery."""
    with RunningWorker(mailing) as running:
        suspend(link.redis)
        running.wait(lambda: [each.get_state() for each in _seen_by_rq(link)] == ["suspended"])
        # A wait for jobs that began before may still bring one.
        time.sleep(2 * worker.BLOCK_S)
        verification = store.accepted()
        assert sink.stays_at(0, 1.0)
        assert waiting_jobs(master) == [f"{verification.id}-1"]
        resume(link.redis)
        running.wait(lambda: _is_sent(store, verification))


def test_rqs_shutdown_command_stops_it(mailing: Settings, link: MasterLink, master: Redis) -> None:
    """As `rq` and dashboards send it."""
    with RunningWorker(mailing, name="leaving", may_end=True) as running:
        assert wait_for(lambda: master.pubsub_numsub("rq:pubsub:leaving")[0][1] == 1, 60)
        assert running.is_alive
        send_shutdown_command(link.redis, "leaving")
        assert running.ended()


def test_foreign_commands_do_nothing(
    store: Store, mailing: Settings, sink: MailSink, link: MasterLink, master: Redis
) -> None:
    """Neither those that RQ has for jobs nor rubbish; the worker still listens afterwards."""
    channel = "rq:pubsub:steady"
    with RunningWorker(mailing, name="steady", may_end=True) as running:
        assert wait_for(lambda: master.pubsub_numsub(channel)[0][1] == 1, 60)
        for rubbish in (b"", b"\xff", b"[]", b"1", b"{}", b'{"command": 1}', b'{"command": "kill-horse"}'):
            assert link.redis.publish(channel, rubbish) == 1
        verification = store.accepted()
        running.wait(lambda: _is_sent(store, verification))
        send_shutdown_command(link.redis, "steady")
        assert running.ended()


def test_a_burst_ends_when_the_queue_is_empty(store: Store, mailing: Settings, sink: MailSink) -> None:
    """After every mail is sent and written down."""
    accepted = [store.accepted() for _ in range(5)]
    with RunningWorker(mailing, burst=True) as running:
        assert running.ended()
        assert len(sink.mails) == 5
        assert all(_is_sent(store, each) for each in accepted)


def test_a_burst_ends_although_somebody_elses_job_is_in_the_queue(
    store: Store, mailing: Settings, sink: MailSink, master: Redis
) -> None:
    """More of them than are claimed at a time, too: what stands behind them is sent."""
    for number in range(40):
        master.rpush(keyspace.QUEUE, f"foreign {number}")
    store.accepted()
    with RunningWorker(mailing, burst=True) as running:
        assert running.ended()
    assert len(sink.mails) == 1
    assert master.llen(keyspace.QUEUE) == 40


@pytest.mark.usefixtures("eager")
def test_an_idle_worker_goes_on_although_redis_is_full(
    store: Store, mailing: Settings, sink: MailSink, link: MasterLink, master: Redis
) -> None:
    """It may wait for jobs no more, since that counts as a command that needs memory; it looks for them."""
    verification = store.accepted()
    steps = deliveries_of(mailing)
    [claim] = steps.claim(link.redis, "another worker", 1)
    assert isinstance(claim, Claim)
    steps.settle(link.redis, [Settlement(claim, DeliveryStatus.DEFERRED, 2.0)])
    limit = master.config_get("maxmemory")["maxmemory"]
    try:
        with RunningWorker(mailing) as running:
            master.config_set("maxmemory", 1_000_000)
            running.wait(lambda: len(sink.mails) == 1)
            running.wait(lambda: _is_sent(store, verification))
    finally:
        master.config_set("maxmemory", limit)


def test_a_stopping_worker_finishes_what_it_has_begun_and_gives_back_the_rest(
    store: Store, mailing: Settings, sink: MailSink
) -> None:
    """No try is counted for what was given back, and another worker sends it."""
    sink.delay_s = 0.7
    accepted = [store.accepted() for _ in range(12)]
    with RunningWorker(mailing) as running:
        [relay] = running.container.relays._relays
        running.wait(lambda: len(running.worker._in_flight) == 12)
        running.wait(lambda: len(relay.connections._in_use) == 4)  # all senders have begun
    begun = len(sink.mails)
    assert 4 <= begun < 12
    statuses = [store.get(each.id).delivery for each in accepted]
    assert [each.status for each in statuses].count(DeliveryStatus.SENT) == begun
    assert all(each.tries == 0 for each in statuses if each.status is DeliveryStatus.QUEUED)
    sink.delay_s = 0
    with RunningWorker(mailing) as another:
        another.wait(lambda: len(sink.mails) == 12)
        another.wait(lambda: all(_is_sent(store, each) for each in accepted))
    assert len(sink.mails) == 12


# As a process of its own


@pytest.fixture
def worker_environment(topology: LocalTopology, mailing: Settings, sink: MailSink) -> dict[str, str]:
    """What `flask worker` needs to know."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("VERIFIER_", "FLASK_"))}
    return {
        **own,
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": f"test:{new_secret()}",
        "VERIFIER_NAME": mailing.name,
        "VERIFIER_MAIL_SERVER": "127.0.0.1",
        "VERIFIER_MAIL_PORT": str(sink.port),
    }


@pytest.fixture
def process(worker_environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `flask worker`; its log is in the test's directory."""
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "worker", "--name", "of-a-test"],
            cwd=ROOT,
            env=worker_environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def test_a_burst_from_the_command_line(
    worker_environment: dict[str, str], store: Store, sink: MailSink
) -> None:
    """`flask worker --burst` sends what is there and ends well."""
    verification = store.accepted()
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker", "--burst"],
        cwd=ROOT,
        env=worker_environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(sink.mails) == 1
    assert _is_sent(store, verification)


def test_a_worker_says_which_setting_is_missing(worker_environment: dict[str, str]) -> None:
    """In a sentence, without a traceback."""
    environment = {name: value for name, value in worker_environment.items() if name != "VERIFIER_SENTINELS"}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "VERIFIER_SENTINELS" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_soon(
    process: subprocess.Popen[bytes], number: signal.Signals, store: Store, sink: MailSink
) -> None:
    """After the mail on its way, with exit code 0."""
    store.accepted()
    sink.wait_for_mail(ADDRESS)
    process.send_signal(number)
    assert process.wait(60) == 0


@pytest.mark.chaos
def test_a_signal_stops_it_soon_although_redis_is_away(
    process: subprocess.Popen[bytes], topology: LocalTopology, store: Store, sink: MailSink, tmp_path: Path
) -> None:
    """Within seconds, however long it has been waiting; and until then it does not end."""
    verification = store.accepted()
    sink.wait_for_mail(ADDRESS)
    assert wait_for(lambda: store.get(verification.id).delivery.status is DeliveryStatus.SENT, 60)
    try:
        for node in topology.nodes:
            node.kill()
        assert wait_for(lambda: b"Redis can't be reached" in (tmp_path / "worker.log").read_bytes(), 60)
        assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0
    finally:
        topology.heal()
    assert b"Traceback" not in (tmp_path / "worker.log").read_bytes()


def _has_on_disk(node: LocalNode, verification: Verification) -> bool:
    files = [file for file in node.directory.rglob("*appendonly*") if file.is_file()]
    return any(verification.id.encode() in file.read_bytes() for file in files)


@pytest.mark.chaos
def test_a_worker_may_be_started_before_redis(
    topology: LocalTopology, store: Store, mailing: Settings, sink: MailSink, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits, says so once, and sends as soon as it can."""
    caplog.set_level(logging.INFO)
    verification = store.accepted()
    # A node that is killed within the second may not have written it to its disk yet, and here all of them are.
    assert wait_for(lambda: all(_has_on_disk(node, verification) for node in topology.nodes), 60)
    for node in topology.nodes:
        node.kill()
    try:
        with RunningWorker(mailing) as running:
            assert wait_for(lambda: "Redis can't be reached" in caplog.text, 60)
            topology.heal()
            running.wait(lambda: _is_sent(store, verification), 60)
    finally:
        topology.heal()
    assert len(sink.mails) == 1
    assert caplog.text.count("Redis can't be reached") <= 2
    assert "Redis is back" in caplog.text


# Any other RQ worker


@pytest.fixture
def stock(
    worker_environment: dict[str, str], link: MasterLink, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleWorker]:
    """RQ's own worker in this process, which makes the container of the job from the environment."""
    for name, value in worker_environment.items():
        monkeypatch.setenv(name, value)
    worker_container_of.cache_clear()
    worker = SimpleWorker([keyspace.Queue().name], connection=link.redis, serializer=JSONSerializer)
    worker._install_signal_handlers = lambda: None  # type: ignore[method-assign]
    yield worker
    made = worker_container_of(os.getpid())
    made.relays.close()
    made.link.close()
    worker_container_of.cache_clear()


def test_a_stock_rq_worker_sends_the_mail_too(
    stock: SimpleWorker, store: Store, sink: MailSink, link: MasterLink, master: Redis
) -> None:
    """With the same result, and once: a second run of the job finds nothing to do."""
    verification = store.accepted()
    stock.work(burst=True)
    assert len(sink.mails) == 1
    assert _is_sent(store, verification)
    assert master.zcard(keyspace.DUE) == 0
    job = Job.fetch(f"{verification.id}-1", connection=link.redis, serializer=JSONSerializer)
    assert job.get_status() is JobStatus.FINISHED
    assert job.return_value() == "sent"
    assert jobs.deliver(verification.id, 1) == "nothing to do"
    assert len(sink.mails) == 1


def test_a_stock_rq_worker_defers_too(
    stock: SimpleWorker, store: Store, sink: MailSink, master: Redis
) -> None:
    """The job is done, the delivery is due again, and RQ retries nothing."""
    sink.replies = ["451 4.7.1 not now"]
    verification = store.accepted()
    stock.work(burst=True)
    assert store.get(verification.id).delivery.status is DeliveryStatus.DEFERRED
    assert master.zscore(keyspace.DUE, verification.id) is not None
    assert waiting_jobs(master) == []


def test_a_stock_rq_worker_keeps_its_lease_while_the_relay_takes_its_time(
    stock: SimpleWorker, store: Store, sink: MailSink, master: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else takes the mail for that of a dead worker meanwhile."""
    for module in (deliveries, in_flight):
        monkeypatch.setattr(module, "LEASE_S", 4.0)
    monkeypatch.setattr(jobs, "EXTEND_EVERY_S", 0.2)
    sink.delay_s = 6.0
    verification = store.accepted()
    left_s: list[float | None] = []

    def watch() -> None:
        for _ in range(50):
            time.sleep(0.1)
            left_s.append(due_in_s(master, verification))

    watching = threading.Thread(target=watch)
    watching.start()
    stock.work(burst=True)
    watching.join()
    assert min(left or 0.0 for left in left_s) > 0
    assert _is_sent(store, verification)
    assert len(sink.mails) == 1
