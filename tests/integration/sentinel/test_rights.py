"""What each user may do and may not, as a table, walked on each Redis that there is here.

A right is tried by its command. In a transaction Redis checks rights when it takes a command in, so what would move or
break something is taken in there and never run; a user without transactions is only let do what is harmless.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from sentinel import LocalOptions, LocalTopology, Login
from sentinel.local.binary import bundled_redis_server, find_redis_server, server_version
from sentinel.local.running_topology import connect

SERVERS = {
    ".".join(map(str, version)): path
    for path in (find_redis_server(os.environ), bundled_redis_server())
    if path is not None and (version := server_version(path)) is not None
}

# What gives away a password or the data, moves a role, or destroys: nobody has it who does not need it.
LOOK_AROUND = [
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "GET verifier:x",
    "GET foreign",
    "DUMP verifier:x",
    "MONITOR",
    "EVAL x 0",
]
PASSWORDS = [
    "CONFIG GET *",
    "CONFIG GET masterauth",
    "ACL LIST",
    "ACL GETUSER app",
    "ACL USERS",
    "SLOWLOG GET",
]
BREAK = [
    "FLUSHALL",
    "FLUSHDB",
    "SHUTDOWN NOSAVE",
    "DEBUG SLEEP 0",
    "CONFIG SET appendonly no",
    "MIGRATE h 1 k 0 1",
    "SWAPDB 0 1",
]
USERS = ["ACL SETUSER x on nopass allcommands", "ACL DELUSER app", "ACL LOAD", "MODULE LIST"]
MOVE = ["REPLICAOF NO ONE", "SLAVEOF NO ONE"]
COPY = ["PSYNC ? -1", "SYNC", "REPLCONF listening-port 1"]
HELLO = ["PUBLISH __sentinel__:hello x"]
OPERATE = ["CLIENT KILL TYPE normal", "CLIENT PAUSE 1 WRITE", "CLIENT LIST", "CONFIG REWRITE", "BGREWRITEAOF"]

NODES: dict[str, tuple[list[str], list[str]]] = {
    "redis_app": (
        [
            "PING",
            "ROLE",
            "INFO",
            "TIME",
            "WAIT 0 1",
            "GET verifier:x",
            "HSET verifier:x a 1",
            "DEL rq:x",
            "MULTI",
        ],
        [
            *(set(LOOK_AROUND) - {"GET verifier:x"}),
            *PASSWORDS,
            *BREAK,
            *USERS,
            *MOVE,
            *COPY,
            *HELLO,
            *OPERATE,
        ],
    ),
    "redis_replica": (
        ["PING", "REPLCONF listening-port 1"],
        ["INFO", "ROLE", *LOOK_AROUND, *PASSWORDS, *BREAK, *USERS, *MOVE, *HELLO, *OPERATE],
    ),
    "redis_sentinel": (
        ["PING", "INFO", "ROLE", *HELLO, "MULTI"],
        [
            *LOOK_AROUND,
            *PASSWORDS,
            *BREAK,
            *USERS,
            *COPY,
            "CLIENT LIST",
            "CLIENT PAUSE 1 WRITE",
            "PUBLISH verifier:x y",
        ],
    ),
    "redis_health": (
        ["PING", "ROLE"],
        ["INFO", *LOOK_AROUND, *PASSWORDS, *BREAK, *USERS, *MOVE, *COPY, *HELLO, *OPERATE],
    ),
    "redis_ops": (
        [
            "PING",
            "INFO",
            "ROLE",
            "TIME",
            "DBSIZE",
            "CLIENT LIST",
            "ACL WHOAMI",
            "ACL LOG",
            "MEMORY DOCTOR",
            "MULTI",
        ],
        [*LOOK_AROUND, *PASSWORDS, *BREAK, *USERS, *COPY, *HELLO, "SUBSCRIBE verifier:x"],
    ),
}
# Taken in by a transaction that is never run.
IN_TRANSACTION = {
    "redis_sentinel": ["SLAVEOF NO ONE", "CONFIG REWRITE", "CLIENT KILL TYPE normal"],
    "redis_ops": [
        *MOVE,
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal",
        "CLIENT PAUSE 1 WRITE",
        "CLIENT UNPAUSE",
    ],
}

ASK = [
    "SENTINEL MASTERS",
    "SENTINEL MASTER verifier",
    "SENTINEL REPLICAS verifier",
    "SENTINEL SENTINELS verifier",
]
ADDRESS = ["SENTINEL GET-MASTER-ADDR-BY-NAME verifier"]
ORDER = [
    "SENTINEL FAILOVER nobody",
    "SENTINEL RESET nobody",
    "SENTINEL REMOVE nobody",
    "SENTINEL SET nobody quorum 1",
]
SECRETS = [
    "SENTINEL CONFIG GET *",
    "SENTINEL CONFIG GET sentinel-pass",
    "ACL LIST",
    "ACL GETUSER peer",
    "CONFIG GET *",
]
HARM = [
    "SENTINEL SIMULATE-FAILURE crash-after-election",
    "SHUTDOWN NOSAVE",
    "ACL SETUSER x on nopass allcommands",
]
SENTINELS: dict[str, tuple[list[str], list[str]]] = {
    "sentinel_peer": (["PING", *HELLO], ["INFO", "ROLE", *ASK, *ADDRESS, *ORDER, *SECRETS, *HARM]),
    "sentinel_app": (
        ["PING", "ROLE", *ASK, *ADDRESS, "SUBSCRIBE +switch-master"],
        ["INFO", *HELLO, *ORDER, *SECRETS, *HARM, "PSUBSCRIBE *", "SUBSCRIBE __sentinel__:hello"],
    ),
    "sentinel_health": (
        ["PING", *ADDRESS, "SENTINEL MASTER verifier"],
        ["INFO", "ROLE", *HELLO, "SENTINEL MASTERS", "SENTINEL SENTINELS verifier", *ORDER, *SECRETS, *HARM],
    ),
    "sentinel_ops": (
        [
            "PING",
            "ROLE",
            "INFO",
            *ASK,
            *ADDRESS,
            *ORDER,
            "SENTINEL CKQUORUM verifier",
            "ACL WHOAMI",
            "ACL LOG",
        ],
        [*HELLO, *SECRETS, *HARM],
    ),
}


@pytest.fixture(scope="module", params=SERVERS)
def each_version(request: pytest.FixtureRequest) -> Iterator[LocalTopology]:
    """A small topology on each Redis that there is, with the users of a deployment and no other."""
    options = LocalOptions(replicas=1, sentinels=1, redis_server=SERVERS[request.param])
    with LocalTopology(options) as running:
        yield running


def _may(client: Redis, command: str) -> bool:
    """Return whether a user has the right to a command."""
    try:
        client.execute_command(*command.split())
    except NoPermissionError:
        return False
    except ResponseError as error:
        # DEBUG is off for everybody; a sentinel lacks commands. Anything else is an answer to who may ask.
        text = str(error).lower()
        return "unknown command" not in text and "command not allowed" not in text
    return True


def _login(topology: LocalTopology, user: str) -> Login:
    login: Login = getattr(topology.credentials, user)
    return login


@pytest.mark.parametrize("user", [*NODES, *SENTINELS])
def test_each_user_has_its_rights_and_no_other(each_version: LocalTopology, user: str) -> None:
    """Each command on a connection of its own: some of them change what a connection is."""
    endpoint = each_version.current_master().endpoint if user in NODES else each_version.sentinels[0]
    granted, refused = {**NODES, **SENTINELS}[user]
    found = {}
    for command in [*granted, *sorted(refused)]:
        with connect(endpoint, _login(each_version, user)) as client:
            found[command] = _may(client, command)
    assert found == {**dict.fromkeys(granted, True), **dict.fromkeys(refused, False)}
    assert each_version.current_master().endpoint == endpoint or user in SENTINELS


@pytest.mark.parametrize("user", IN_TRANSACTION)
def test_what_moves_the_master_is_let_in(each_version: LocalTopology, user: str) -> None:
    """By a transaction that ends with its connection."""
    endpoint = each_version.current_master().endpoint
    with connect(endpoint, _login(each_version, user)) as client, client.client() as alone:
        alone.execute_command("MULTI")
        found = {command: _may(alone, command) for command in IN_TRANSACTION[user]}
    assert found == dict.fromkeys(found, True)


def test_nobody_is_anybody(each_version: LocalTopology) -> None:
    """Without a name nothing is answered, on nodes and sentinels; nor with a name that has no password here."""
    for process in each_version.processes:
        for login in (Login(), Login("default", "x"), Login("drill", "x")):
            with connect(process.endpoint, login) as client, pytest.raises(AuthenticationError):
                client.ping()


def test_every_user_stands_in_the_table(each_version: LocalTopology) -> None:
    """A new one needs a row."""
    assert each_version.credentials is not None
    users = set(each_version.credentials.__slots__) - {"redis_drill"}
    assert users == {*NODES, *SENTINELS}


def test_both_versions_are_walked() -> None:
    """The oldest that is supported comes with the wheel."""
    assert any(version.startswith("6.2") for version in SERVERS)
