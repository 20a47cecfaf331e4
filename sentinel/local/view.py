"""What the sentinels and the nodes of an embedded topology say about each other.

Questions are asked directly with short timeouts and without retries, so that a dead or hung process costs half
a second and is reported as saying nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sentinel.endpoints import Endpoint
from sentinel.local.credentials import Credential

TIMEOUT = 0.5
"""Seconds one question may take."""


@dataclass(frozen=True, slots=True)
class SentinelView:
    """What one sentinel knows: whom it calls master, and who else is up; nothing when it does not answer."""

    sentinel: Endpoint
    master: Endpoint | None = None
    master_is_up: bool = False
    failover: bool = False
    """Whether it is leading a failover at the moment."""
    replicas: frozenset[Endpoint] = frozenset()
    """Those that are up and have told who they are, without which Sentinel promotes none."""
    sentinels: frozenset[Endpoint] = frozenset()
    """The others it is connected with; not itself."""


def connect(endpoint: Endpoint, credential: Credential | None) -> Redis:
    """Make a client of one node that answers soon or fails; close it after use, or use it in a `with`."""
    return Redis(
        host=endpoint.host,
        port=endpoint.port,
        username=credential.username if credential else None,
        password=credential.password if credential else None,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,  # announcing the driver is CLIENT SETINFO, which Redis before 7.2 has no right for
        decode_responses=True,
    )


def master_address(sentinel: Endpoint, name: str, credential: Credential | None) -> Endpoint | None:
    """Ask a sentinel for the master's address; None when it names none or does not answer."""
    try:
        with connect(sentinel, credential) as client:
            answer = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    except RedisError:
        return None
    return Endpoint(answer[0], int(answer[1])) if answer else None


def majority_address(
    sentinels: Iterable[Endpoint], name: str, credential: Credential | None
) -> Endpoint | None:
    """Ask all sentinels; the address that more than half of them name, if there is one."""
    answers = [master_address(sentinel, name, credential) for sentinel in sentinels]
    votes = Counter(answer for answer in answers if answer is not None)
    for address, count in votes.most_common(1):
        if 2 * count > len(answers):
            return address
    return None


def sentinel_view(sentinel: Endpoint, name: str, credential: Credential | None) -> SentinelView:
    """Ask a sentinel for everything it knows of the master, its replicas and the other sentinels."""
    try:
        with connect(sentinel, credential) as client:
            master = _pairs(client.execute_command("SENTINEL", "MASTER", name))
            replicas = client.execute_command("SENTINEL", "REPLICAS", name)
            others = client.execute_command("SENTINEL", "SENTINELS", name)
    except RedisError:
        return SentinelView(sentinel)
    return SentinelView(
        sentinel,
        master=_address(master),
        master_is_up=master["flags"] == "master",
        failover="failover_in_progress" in master["flags"],
        replicas=_those_up(replicas, "slave"),
        sentinels=_those_up(others, "sentinel"),
    )


def role_of(node: Endpoint, credential: Credential | None) -> str:
    """Ask a data node for its role in Redis's words, `master` or `slave`; empty when it does not answer."""
    try:
        with connect(node, credential) as client:
            return str(client.execute_command("ROLE")[0])
    except RedisError:
        return ""


def following(node: Endpoint, credential: Credential | None) -> tuple[Endpoint | None, bool]:
    """Ask a data node whom it follows, and whether it is connected and in sync with it."""
    try:
        with connect(node, credential) as client:
            role = client.execute_command("ROLE")
    except RedisError:
        return None, False
    if role[0] != "slave":
        return None, False
    return Endpoint(role[1], int(role[2])), role[3] == "connected"


def _those_up(instances: Iterable[list[str]], flags: str) -> frozenset[Endpoint]:
    """Keep those whose flags name nothing but their kind, and whose run id is known."""
    described = [_pairs(instance) for instance in instances]
    return frozenset(_address(one) for one in described if one["flags"] == flags and one["runid"])


def _address(instance: dict[str, str]) -> Endpoint:
    return Endpoint(instance["ip"], int(instance["port"]))


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
