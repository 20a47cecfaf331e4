"""Who may do what on the data nodes and the sentinels, with the access files a deployment uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from sentinel import LocalTopology, Login
from sentinel.link.subscription import CHANNELS
from sentinel.local.credentials import Credentials
from sentinel.local.running_topology import connect


@pytest.fixture
def users(topology: LocalTopology) -> Credentials:
    """The shared topology's users."""
    assert topology.credentials is not None
    return topology.credentials


@pytest.fixture
def as_app(topology: LocalTopology, users: Credentials) -> Iterator[Redis]:
    """The app's connection to the master."""
    with connect(topology.current_master().endpoint, users.redis_app) as client:
        yield client


@pytest.fixture
def app_at_sentinel(topology: LocalTopology, users: Credentials) -> Iterator[Redis]:
    """The app's connection to a sentinel."""
    with connect(topology.sentinels[0], users.sentinel_app) as client:
        yield client


def test_nobody_comes_in_without_a_name(topology: LocalTopology) -> None:
    """Data nodes and sentinels refuse even a PING of a stranger."""
    for process in (*topology.nodes, *topology.sentinel_nodes):
        with connect(process.endpoint, Login()) as anonymous, pytest.raises(AuthenticationError):
            anonymous.execute_command("PING")


@pytest.mark.parametrize(
    "command",
    [
        "CONFIG GET *", "CONFIG SET appendonly no", "KEYS *", "SCAN 0", "FLUSHALL", "FLUSHDB", "SHUTDOWN",
        "REPLICAOF NO ONE", "SLAVEOF NO ONE", "ACL LIST", "CLIENT LIST", "CLIENT KILL TYPE normal", "MONITOR",
        "DEBUG SLEEP 0", "MODULE LIST", "EVAL x 0", "FUNCTION LIST", "DUMP rq:x", "MIGRATE h 1 k 0 1", "SELECT 1",
        "SWAPDB 0 1", "SORT rq:x", "BGREWRITEAOF", "PSYNC ? -1",
    ],
)  # fmt: skip
def test_app_may_not(as_app: Redis, command: str) -> None:
    """The app's user has no command that looks around, changes roles or settings, or destroys."""
    with pytest.raises(
        (NoPermissionError, ResponseError), match=r"no permissions|unknown command|not allowed"
    ):
        as_app.execute_command(*command.split())


def test_app_sees_only_its_own_keys(as_app: Redis) -> None:
    """Keys outside of `rq:` and `verifier:` can be neither read nor written, scripts included."""
    for command in (["GET", "foreign"], ["SET", "foreign", "1"], ["RENAME", "rq:x", "foreign"]):
        with pytest.raises(NoPermissionError):
            as_app.execute_command(*command)
    script = as_app.script_load("return redis.call('GET', KEYS[1])")
    with pytest.raises(ResponseError, match=r"NOPERM|can't access|permissions"):
        as_app.evalsha(script, 1, "foreign")


def test_app_may_not_say_sentinels_hello(as_app: Redis) -> None:
    """Whoever could publish the sentinels' hello could name another master to them."""
    for client_says in (["PUBLISH", "__sentinel__:hello", "x"], ["SUBSCRIBE", "__sentinel__:hello"]):
        with pytest.raises(NoPermissionError):
            as_app.execute_command(*client_says)


def test_app_may_do_what_its_scripts_need(as_app: Redis) -> None:
    """Every command of the atomic steps runs from a script on our keys."""
    script = as_app.script_load(
        """
        local hash, due, list = KEYS[1], KEYS[2], KEYS[3]
        redis.call('HSET', hash, 'a', 1, 'b', 2)
        redis.call('HINCRBY', hash, 'a', 1)
        redis.call('HDEL', hash, 'b')
        redis.call('ZADD', due, 1, 'x', 2, 'y')
        redis.call('ZREM', due, 'y')
        redis.call('RPUSH', list, 'one', 'two')
        redis.call('LPOP', list)
        for _, key in ipairs(KEYS) do
            redis.call('EXPIRE', key, 60)
            redis.call('PEXPIRE', key, 60000)
            redis.call('EXPIREAT', key, 9999999999)
            redis.call('PEXPIREAT', key, 9999999999999)
        end
        redis.call('PUBLISH', 'verifier:events', 'done')
        local found = {
            redis.call('HGET', hash, 'a'), redis.call('HMGET', hash, 'a')[1], redis.call('HGETALL', hash)[2],
            redis.call('ZSCORE', due, 'x'), redis.call('ZCARD', due), redis.call('ZCOUNT', due, 0, 5),
            redis.call('ZRANGEBYSCORE', due, 0, 5)[1], redis.call('ZRANGE', due, 0, -1)[1],
            redis.call('LINDEX', list, 0), redis.call('LLEN', list), redis.call('EXISTS', hash),
            redis.call('INCR', KEYS[4]), #redis.call('TIME'),
        }
        redis.call('DEL', hash, due)
        redis.call('UNLINK', list, KEYS[4])
        return found
        """
    )
    keys = [f"verifier:test:{name}" for name in ("hash", "due", "list", "count")]
    found = as_app.evalsha(script, len(keys), *keys)
    assert found == ["2", "2", "2", "1", 1, 1, "x", "x", "two", 1, 1, 1, 2]


def test_app_may_run_rq(topology: LocalTopology, users: Credentials) -> None:
    """A stock queue and worker get by with the app's rights."""
    with connect(topology.current_master().endpoint, users.redis_app) as client:
        pool = client.connection_pool
        undecoded = Redis.from_pool(
            type(pool)(
                connection_class=pool.connection_class,
                **{**pool.connection_kwargs, "decode_responses": False, "socket_timeout": 30},
            )
        )
    with undecoded:
        queue = Queue("access", connection=undecoded, serializer=JSONSerializer)
        job = queue.enqueue("operator.add", 1, 2, result_ttl=5)
        worker = SimpleWorker([queue], connection=undecoded, serializer=JSONSerializer)
        assert worker.work(burst=True)
        assert job.return_value() == 3


def test_health_user_may_only_ping(topology: LocalTopology, users: Credentials) -> None:
    """The health check's password opens nothing else."""
    for endpoint, user in (
        (topology.nodes[0].endpoint, users.redis_health),
        (topology.sentinels[0], users.sentinel_health),
    ):
        with connect(endpoint, user) as client:
            assert client.ping()
            with pytest.raises(NoPermissionError):
                client.execute_command("INFO")


def test_operators_see_no_data(topology: LocalTopology, users: Credentials) -> None:
    """The operators' user manages the node and reads no key."""
    with connect(topology.current_master().endpoint, users.redis_ops) as client:
        assert client.execute_command("INFO", "memory")
        for command in (["GET", "verifier:x"], ["KEYS", "*"], ["CONFIG", "SET", "maxmemory", "1"]):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


def test_app_learns_of_the_master_from_sentinels(topology: LocalTopology, app_at_sentinel: Redis) -> None:
    """The app may ask a sentinel for the master, the replicas and the other sentinels, and be told of changes."""
    name = topology.master_name
    for question in ("GET-MASTER-ADDR-BY-NAME", "MASTER", "REPLICAS", "SLAVES", "SENTINELS"):
        assert app_at_sentinel.execute_command("SENTINEL", question, name)
    with app_at_sentinel.pubsub() as events:
        events.subscribe(*CHANNELS)
        told = [events.get_message(timeout=30) for _ in CHANNELS]
    assert [message and message["type"] for message in told] == ["subscribe"] * len(CHANNELS)


@pytest.mark.parametrize(
    "command",
    [
        "SENTINEL FAILOVER verifier", "SENTINEL SET verifier quorum 1", "SENTINEL RESET *", "SENTINEL REMOVE verifier",
        "SENTINEL MONITOR evil 127.0.0.1 1 1", "PUBLISH __sentinel__:hello x", "SHUTDOWN", "ACL LIST", "INFO",
        "PSUBSCRIBE *",
    ],
)  # fmt: skip
def test_app_may_not_command_sentinels(app_at_sentinel: Redis, command: str) -> None:
    """The app's user at the sentinels listens; it orders nothing."""
    with pytest.raises(NoPermissionError):
        app_at_sentinel.execute_command(*command.split())


def test_superuser_exists_only_where_asked_for(topology: LocalTopology, users: Credentials) -> None:
    """The drill's user is there with superuser=True, and without it unknown."""
    with topology.admin(topology.nodes[0]) as admin:
        assert admin.execute_command("ACL", "WHOAMI") == "drill"
        names = admin.execute_command("ACL", "USERS")
    assert sorted(names) == ["app", "default", "drill", "health", "ops", "replica", "sentinel"]
    with LocalTopology() as usual:
        assert usual.credentials is not None
        with (
            connect(usual.nodes[0].endpoint, usual.credentials.redis_drill) as client,
            pytest.raises(AuthenticationError),
        ):
            client.ping()
