"""What redis-py and RQ do not promise and this project relies on: the table at the end of sentinel/README.md.

A test that fails here after an upgrade names what has changed and who relies on it.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, TypeVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import worker_registration
from rq.command import PUBSUB_CHANNEL_TEMPLATE, send_shutdown_command
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now, utcformat
from rq.worker import SimpleWorker, Worker, WorkerStatus

from tests.support.fake_redis import FakeServer
from verifier.store import keyspace

ROOT = Path(__file__).resolve().parents[2]
Test = TypeVar("Test", bound=Callable[..., None])
PARTS: list[str] = []
"""All that a test is marked with, in the order of the tests."""


def relied_on(package: str, part: str, who: str, purpose: str) -> Callable[[Test], Test]:
    """Have a test say, however it fails, what has changed and who relies on it for what."""

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def wrapped(*arguments: Any, **named: Any) -> None:
            try:
                test(*arguments, **named)
            except Exception as error:
                sentence = f"{package} {version(package)} changed {part}, on which {who} relies to {purpose}"
                raise AssertionError(f"{sentence}: {error}") from error

        PARTS.append(part)
        return wrapped  # type: ignore[return-value] # the same arguments, by functools.wraps

    return decorate


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that says OK to everything."""
    with FakeServer() as running:
        yield running


def _arguments(server: FakeServer) -> dict[str, Any]:
    return {
        "host": server.endpoint.host,
        "port": server.endpoint.port,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }


class Unreachable(redis.Redis):
    """A client that nobody may use, for what must not connect."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))


class Recorder:
    """A client and its pipeline, which write down what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.connection_pool = SimpleNamespace(connection_kwargs={})

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append((name, *arguments, *named.values()))

    def pipeline(self) -> Recorder:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def words(self, command: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == command]


class Quiet(Worker):
    """Overrides what the project's worker overrides, so that nothing connects when it is made."""

    def _set_ip_address(self, connection: redis.Redis) -> None:  # noqa: ARG002 - RQ's signature
        self.ip_address = "unknown"


# redis-py


@relied_on("redis", "`Connection._sock`", "sentinel/link/subscription.py", "wait for messages")
def test_the_socket_of_a_connection(server: FakeServer) -> None:
    """The watcher waits for several connections at once, which redis-py has no public way for."""
    connection = redis.Connection(**_arguments(server))
    assert connection._sock is None
    connection.connect()
    assert isinstance(connection._sock, socket.socket)
    connection.disconnect()
    assert connection._sock is None


@relied_on("redis", "`Connection._get_socket()`", "sentinel/link/connections.py", "hang up")
def test_another_threads_socket(server: FakeServer) -> None:
    """The link shuts down sockets to a master that was replaced."""
    connection = redis.Connection(**_arguments(server))
    assert connection._get_socket() is None
    connection.connect()
    assert isinstance(connection._get_socket(), socket.socket)
    connection.disconnect()


class Traced(redis.Connection):
    """Writes down which of the overridden methods redis-py calls."""

    def __init__(self, **arguments: Any) -> None:
        self.trace: list[str] = []
        super().__init__(**arguments)

    def connect(self) -> None:
        self.trace.append("connect")
        super().connect()

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        self.trace.append("connect_check_health")
        super().connect_check_health(check_health=check_health, retry_socket_connect=retry_socket_connect)

    def on_connect_check_health(self, check_health: bool = True) -> None:
        self.trace.append("on_connect_check_health")
        super().on_connect_check_health(check_health=check_health)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        self.trace.append("send_packed_command")
        super().send_packed_command(command, check_health=check_health)

    def read_response(self, *args: Any, **arguments: Any) -> Any:
        self.trace.append("read_response")
        return super().read_response(*args, **arguments)

    def resubscribe(self, connection: redis.Connection) -> None:  # noqa: ARG002 - redis-py's signature
        """What a PubSub has called back."""
        self.trace.append("callback")


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


@relied_on(
    "redis", "`Connection.connect()`", "sentinel/link/connections.py", "be called by pools; it overrides it"
)
def test_a_pool_connects_by_one_method(server: FakeServer) -> None:
    """Before it hands a connection out."""
    assert _parameters(redis.Connection.connect) == []
    pool = redis.ConnectionPool(connection_class=Traced, **_arguments(server))
    connection = pool.get_connection()
    assert connection.trace[0] == "connect"
    pool.release(connection)
    pool.disconnect()


@relied_on(
    "redis",
    "`Connection.send_packed_command()`",
    "sentinel/link/connections.py",
    "type errors; it overrides it",
)
def test_every_command_is_sent_by_one_method(server: FakeServer) -> None:
    """A single one and a pipeline."""
    assert _parameters(redis.Connection.send_packed_command) == ["command", "check_health"]
    connection = Traced(**_arguments(server))
    connection.send_command("PING")
    connection.send_packed_command(connection.pack_commands([("PING",), ("PING",)]))
    assert connection.trace.count("send_packed_command") == 2
    connection.disconnect()


@relied_on("redis", "`Connection.connect_check_health()`", "sentinel/link/connections.py", "find the master")
def test_a_connection_is_opened_by_one_method(server: FakeServer) -> None:
    """Whichever way it comes to be opened, the master's address is looked up first."""
    assert _parameters(redis.Connection.connect_check_health) == ["check_health", "retry_socket_connect"]
    first, second = Traced(**_arguments(server)), Traced(**_arguments(server))
    first.connect()
    second.send_command("PING")
    assert "connect_check_health" in first.trace
    assert second.trace[:2] == ["send_packed_command", "connect_check_health"]
    first.disconnect()
    second.disconnect()


@relied_on("redis", "`Connection.host`", "sentinel/link/connections.py", "go to another master")
def test_the_host_is_read_when_a_connection_is_opened(server: FakeServer) -> None:
    """So that it may be another one each time."""
    connection = redis.Connection(**{**_arguments(server), "host": "unconnected", "port": 0})
    connection.host, connection.port = server.endpoint
    connection.connect()
    assert connection.is_connected
    connection.disconnect()


@relied_on(
    "redis", "`Connection.on_connect_check_health()`", "sentinel/link/connections.py", "verify the role"
)
def test_a_pubsub_subscribes_after_the_login(server: FakeServer) -> None:
    """The role is verified between the two, or its answer would be taken for the subscription's."""
    assert _parameters(redis.Connection.on_connect_check_health) == ["check_health"]
    connection = Traced(**_arguments(server))
    connection.register_connect_callback(connection.resubscribe)
    connection.connect()
    steps = [step for step in connection.trace if step in {"on_connect_check_health", "callback"}]
    assert steps == ["on_connect_check_health", "callback"]
    connection.disconnect()


@relied_on("redis", "`Connection.read_response()`", "sentinel/link/connections.py", "type errors")
def test_every_answer_is_read_by_one_method(server: FakeServer) -> None:
    """Those of a pipeline, too: an error that means "not your master" is found wherever it comes."""
    pool = redis.ConnectionPool(connection_class=Traced, **_arguments(server))
    client = redis.Redis(connection_pool=pool)
    client.set("a", "b")
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("a", "b").set("c", "d")
        pipeline.execute()
    connection = pool.get_connection()
    assert connection.trace.count("read_response") == 3
    assert connection.trace.count("send_packed_command") == 2
    pool.release(connection)
    pool.disconnect()


@relied_on(
    "redis",
    "`ConnectionPool._lock`, `_available_connections`, `_in_use_connections`",
    "sentinel/link/master_pool.py",
    "hang up on the old master",
)
def test_the_connections_of_a_pool(server: FakeServer) -> None:
    """All of them, used or not, are looked through when the master has moved."""
    pool = redis.ConnectionPool(**_arguments(server))
    connection = pool.get_connection()
    with pool._lock:
        assert list(pool._in_use_connections) == [connection]
        assert list(pool._available_connections) == []
    pool.release(connection)
    assert list(pool._available_connections) == [connection]
    pool.disconnect()


@relied_on("redis", "`ConnectionPool.get_connection()`", "sentinel/link/master_pool.py", "hold writes")
def test_a_client_takes_its_connections_by_one_method(server: FakeServer) -> None:
    """Commands and pipelines wait there while a replica is being promoted."""
    taken = []

    class Pool(redis.ConnectionPool):
        def get_connection(self, *args: Any, **arguments: Any) -> Any:
            taken.append(args)
            return super().get_connection(*args, **arguments)

    client = redis.Redis(connection_pool=Pool(**_arguments(server)))
    client.set("a", "b")
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("a", "b")
        pipeline.execute()
    assert len(taken) == 2
    client.connection_pool.disconnect()


@relied_on(
    "redis",
    "`ConnectionPool._checkpid()`, `make_connection()`, `release()`",
    "sentinel/link/master_pool.py",
    "lend connections",
)
def test_a_pool_of_a_forked_child_begins_anew(server: FakeServer) -> None:
    """By one method, which is called first; another makes a connection and bounds their number, a third takes it back."""
    pool = redis.ConnectionPool(max_connections=1, **_arguments(server))
    made = pool.make_connection()
    with pytest.raises(redis.exceptions.MaxConnectionsError):
        pool.make_connection()
    pool._available_connections.append(made)
    pool.release(pool.get_connection())
    assert list(pool._available_connections) == [made]
    pool.pid = 0
    pool._checkpid()
    assert list(pool._available_connections) == []
    assert pool.make_connection() is not made


@relied_on(
    "redis", "`driver_info=None` with `protocol=2`", "sentinel/direct_connection.py", "need few rights"
)
def test_a_connection_says_nothing_of_itself(server: FakeServer) -> None:
    """CLIENT SETINFO and HELLO are no rights of ours, and unknown to older servers."""
    connection = redis.Connection(**_arguments(server))
    connection.connect()
    connection.send_command("PING")
    connection.read_response()
    connection.disconnect()
    assert server.commands == [["PING"]]


# RQ


@relied_on("rq", "`Worker._set_ip_address()`", "workers/worker.py", "start without a Redis")
def test_making_a_worker_asks_redis_in_one_place_only() -> None:
    """A worker may start while Redis is away."""
    assert list(inspect.signature(Worker._set_ip_address).parameters) == ["self", "connection"]
    worker = Quiet(["mail"], connection=Unreachable(), serializer=JSONSerializer, worker_ttl=60)
    assert worker.ip_address == "unknown"


@relied_on(
    "rq", "`Worker._set_connection()`", "sentinel/README.md", "say why a worker gets a client of its own"
)
def test_a_worker_raises_the_time_limit_of_its_pool() -> None:
    """Hence a client of its own for each worker of RQ."""
    client = redis.Redis(host="127.0.0.1", port=1, socket_timeout=3)
    Quiet(["mail"], connection=client, worker_ttl=60)
    assert client.connection_pool.connection_kwargs["socket_timeout"] > 3


@relied_on("rq", "`Worker._install_signal_handlers()`", "workers/worker.py", "be stopped by its own methods")
def test_a_workers_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the methods that the project's worker overrides."""
    installed: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", lambda number, handler: installed.update({int(number): handler}))
    worker = Quiet(["mail"], connection=Unreachable())
    worker._install_signal_handlers()
    assert installed == {signal.SIGINT: worker.request_stop, signal.SIGTERM: worker.request_stop}


@relied_on("rq", "`Worker._stop_requested`", "workers/worker.py", "end its loop")
def test_a_worker_starts_with_nobody_having_asked_it_to_stop() -> None:
    """The flag is RQ's, and set by the project's worker."""
    assert Quiet(["mail"], connection=Unreachable())._stop_requested is False


@relied_on("rq", "`Worker._state`", "workers/worker.py", "announce what it does")
def test_a_workers_state() -> None:
    """It is set without asking Redis, and written with the rest of the record."""
    worker = Quiet(["mail"], connection=Unreachable())
    worker._state = WorkerStatus.BUSY.value
    assert worker.get_state() == "busy"
    assert {WorkerStatus.IDLE.value, WorkerStatus.SUSPENDED.value} == {"idle", "suspended"}


@relied_on("rq", "`Worker.serialize()`", "workers/worker.py", "announce itself")
def test_a_workers_record() -> None:
    """What `rq info` reads of it is made by RQ, and holds nothing that only a registered worker has."""
    worker = Quiet(["mail"], name="one", connection=Unreachable())
    worker.birth_date = worker.last_heartbeat = now()
    record = worker.serialize()
    assert {"birth", "last_heartbeat", "queues", "pid", "hostname"} <= set(record)
    assert record["last_heartbeat"] == utcformat(worker.last_heartbeat)
    assert worker.key == "rq:worker:one"


@relied_on("rq", "`worker_registration.register()`", "workers/worker.py", "announce itself")
def test_a_worker_is_registered_in_a_pipeline() -> None:
    """Together with its record, so that it is visible again at once after Redis lost both."""
    pipeline = Recorder()
    worker_registration.register(Quiet(["mail"], name="one", connection=Unreachable()), pipeline)  # type: ignore[arg-type]
    assert pipeline.words("sadd") == [
        ("rq:workers", "rq:worker:one"),
        ("rq:workers:mail", "rq:worker:one"),
    ]


@relied_on("rq", "`Worker.register_death()`", "workers/worker.py", "leave `rq info` at once")
def test_a_workers_death_can_be_registered_again() -> None:
    """It only writes, so it may be repeated until Redis takes it."""
    client = Recorder()
    Quiet(["mail"], name="one", connection=client).register_death()  # type: ignore[arg-type]
    assert {call[0] for call in client.calls} <= {"srem", "hset", "expire", "delete", "execute"}
    assert client.words("execute")


@relied_on("rq", "`suspension.WORKERS_SUSPENDED`", "workers/worker.py", "be suspended by `rq suspend`")
def test_the_flag_of_rq_suspend() -> None:
    """It stops the project's worker, too."""
    assert WORKERS_SUSPENDED == "rq:suspended"


@relied_on("rq", "`command.send_shutdown_command()`", "workers/command_listener.py", "be shut down by it")
def test_the_shutdown_command() -> None:
    """It is read by a thread of the project's own."""
    client = Recorder()
    send_shutdown_command(client, "one")  # type: ignore[arg-type]
    ((channel, payload),) = client.words("publish")
    assert channel == Quiet(["mail"], name="one", connection=Unreachable()).pubsub_channel_name
    assert channel == PUBSUB_CHANNEL_TEMPLATE % "one"
    assert json.loads(payload) == {"command": "shutdown"}


@relied_on("rq", "`Job.to_dict()`", "verifier/store/keyspace.py", "write jobs as RQ does")
def test_a_job_that_a_script_wrote_is_one_of_rqs() -> None:
    """The scripts write the hash; any RQ worker or tool can read it."""
    fields = keyspace.job_fields(keyspace.Queue("mails"), "an-id", 2)
    pairs = zip(fields[::2], fields[1::2], strict=True)
    raw = {
        str(name).encode(): each if isinstance(each, bytes) else str(each).encode() for name, each in pairs
    }
    job = Job("an-id-2", connection=Unreachable(), serializer=JSONSerializer)
    job.restore(raw)
    assert (job.func_name, list(job.args)) == (keyspace.DELIVER, ["an-id", 2])
    assert (job.origin, job.timeout) == ("mails", keyspace.JOB_TIMEOUT_S)
    assert job.get_status(refresh=False) == "queued"


@relied_on("rq", "`Queue.key`", "verifier/store/keyspace.py", "name the keys as RQ does")
def test_the_keys_of_queues_and_jobs() -> None:
    """The scripts push to the queue and write the jobs themselves."""
    assert Queue("mails", connection=Unreachable()).key == keyspace.Queue("mails").key
    assert Queue.redis_queues_keys == keyspace.QUEUES
    assert f"{Job.redis_job_namespace_prefix}an-id" == f"{keyspace.JOB_PREFIX}an-id"


@relied_on(
    "rq", "`Worker.handle_warm_shutdown_request()`", "the example of sentinel/README.md", "end its loop"
)
def test_what_rq_calls_when_a_worker_is_asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop around it learns so that it is not to start the worker again."""
    asked = []

    class Example(SimpleWorker):
        _set_ip_address = Quiet._set_ip_address

        def handle_warm_shutdown_request(self) -> None:
            asked.append(self)

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    worker = Example(["mail"], connection=Unreachable())
    with pytest.raises(StopRequested):
        worker.request_stop(signal.SIGTERM, None)
    assert asked == [worker]


def test_the_page_lists_them_all() -> None:
    """Each part once, with who relies on it; nothing that has no test."""
    page = (ROOT / "sentinel" / "README.md").read_text(encoding="utf-8").partition("## Private parts")[2]
    listed = re.findall(r"^\| (?:redis-py|RQ) \| (.+?) \|", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted(PARTS)


@pytest.mark.parametrize("name", ["redis", "rq"])
def test_an_untried_release_is_not_installed(name: str) -> None:
    """`requirements.in` keeps both below the next minor release; who raises a bound runs these tests."""
    bounds = dict(
        re.findall(r"^(redis|rq)>=[\d.]+,<([\d.]+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    )
    major, minor = map(int, version(name).split(".")[:2])
    assert bounds[name] == f"{major}.{minor + 1}"
