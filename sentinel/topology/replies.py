"""Reading what sentinels and nodes reply, on Redis 6.2 and newer.

The replies' shapes are those of ROLE (https://redis.io/docs/latest/commands/role/), INFO
(https://redis.io/docs/latest/commands/info/) and Sentinel's API
(https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Sentinel API").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import ResponseError

from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of
from sentinel.errors import AccessRefused, TransientError, UnknownMasterName
from sentinel.topology.node_commands import right_to
from sentinel.topology.snapshot import KnownReplica, NodeState, Role, SentinelState

_SETTINGS = ("replica-priority", "min-replicas-*", "appendonly", "maxmemory-policy")


class Answers:
    """What one process answers, and which rights it says we lack."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        """Put questions through `ask`, which gives a reply or raises RedisError."""
        self._ask = ask
        self.missing_rights: list[str] = []

    def to(self, *words: str) -> Any:
        """Give the reply to a question that must be answered; raises RedisError, noting a missing right."""
        try:
            return self._ask(*words)
        except AccessRefused as error:
            if _is_missing_right(error):
                self.missing_rights.append(right_to(words))
            raise

    def if_allowed(self, *words: str) -> Any:
        """Give the reply, or None where we lack the right; raises RedisError for anything else."""
        try:
            return self.to(*words)
        except AccessRefused as error:
            if _is_missing_right(error):
                return None
            raise


def _is_missing_right(error: AccessRefused) -> bool:
    cause = error.__cause__ or error
    text = str(cause).lower()
    return (
        kind_of(cause if isinstance(cause, Exception) else error) is ErrorKind.REFUSED
        and "permission" in text
    )


def sentinel_state(endpoint: Endpoint, name: str, answers: Answers) -> SentinelState:
    """Ask a sentinel for its view. Raises RedisError where it gives none."""
    address = answers.to("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    if address is None:
        raise UnknownMasterName(f"it watches no master named {name!r}; compare the master name with its file")
    fields = _pairs(answers.to("SENTINEL", "MASTER", name))
    replicas = [_pairs(each) for each in answers.to("SENTINEL", "REPLICAS", name)]
    return SentinelState(
        endpoint,
        run_id=str(answers.to("SENTINEL", "MYID")),
        master=_endpoint(address[0], address[1]),
        epoch=_number(fields.get("config-epoch")),
        flags=frozenset(fields.get("flags", "").split(",")),
        other_sentinels=_number(fields.get("num-other-sentinels")),
        quorum=_number(fields.get("quorum")),
        down_after_ms=_number(fields.get("down-after-milliseconds")),
        failover_timeout_ms=_number(fields.get("failover-timeout")),
        ckquorum=_ckquorum(name, answers),
        tilt=_tilt(answers),
        replicas=tuple(_known_replica(each) for each in replicas),
        missing_rights=tuple(answers.missing_rights),
    )


def peers_in(reply: Any) -> dict[str, Endpoint]:
    """Read the other sentinels by run id from the answer to SENTINEL SENTINELS."""
    peers = [_pairs(each) for each in reply]
    return {peer["runid"]: _endpoint(peer["ip"], peer["port"]) for peer in peers if peer.get("runid")}


def node_state(endpoint: Endpoint, answers: Answers) -> NodeState:
    """Ask a node for its role and settings. Raises RedisError where it does not tell its role."""
    role = answers.to("ROLE")
    if not isinstance(role, list) or not role or role[0] not in set(Role):
        raise TransientError(f"{endpoint} answers ROLE with something that is no role: {role!r:.80}")
    is_replica = role[0] == Role.REPLICA
    told = _info(answers.if_allowed("INFO", "replication"))
    settings = _settings(answers)
    return NodeState(
        endpoint,
        role=Role(role[0]),
        follows=_endpoint(role[1], role[2]) if is_replica else None,
        link=str(role[3]) if is_replica else None,
        offset=int(role[4] if is_replica else role[1]),
        priority=_number(settings.get("replica-priority", told.get("slave_priority"))),
        min_replicas_to_write=_number(settings.get("min-replicas-to-write")),
        min_replicas_max_lag_s=_number(settings.get("min-replicas-max-lag")),
        appendonly=settings["appendonly"] == "yes" if "appendonly" in settings else None,
        maxmemory_policy=settings.get("maxmemory-policy"),
        missing_rights=tuple(dict.fromkeys(answers.missing_rights)),
    )


def _settings(answers: Answers) -> dict[str, str]:
    """Read settings one pattern at a time: CONFIG GET takes several only from Redis 7.0 on."""
    found: dict[str, str] = {}
    for pattern in _SETTINGS:
        reply = answers.if_allowed("CONFIG", "GET", pattern)
        if reply is None:
            break
        found |= _pairs(reply)
    return found


def _ckquorum(name: str, answers: Answers) -> str | None:
    try:
        reply = answers.if_allowed("SENTINEL", "CKQUORUM", name)
    except ResponseError as error:  # NOQUORUM and the reason
        return str(error)
    return None if reply is None else str(reply)


def _tilt(answers: Answers) -> bool | None:
    return {"0": False, "1": True}.get(_info(answers.if_allowed("INFO", "sentinel")).get("sentinel_tilt", ""))


def _known_replica(fields: dict[str, str]) -> KnownReplica:
    return KnownReplica(
        _endpoint(fields.get("ip"), fields.get("port")),
        frozenset(fields.get("flags", "").split(",")),
        _number(fields.get("slave-priority")) or 0,
        Role(reported) if (reported := fields.get("role-reported", "")) in set(Role) else None,
    )


def _endpoint(host: object, port: object) -> Endpoint:
    number = _number(port)
    if not host or number is None or not 0 < number < 65536:
        raise TransientError(f"it names something that is no address: {host!r:.60} {port!r:.10}")
    return Endpoint(str(host), number)


def _number(text: object) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None


def _pairs(flat: Any) -> dict[str, str]:
    if not isinstance(flat, list):
        raise TransientError(f"it answers with something unexpected: {flat!r:.80}")
    return {str(name): str(value) for name, value in zip(flat[::2], flat[1::2], strict=False)}


def _info(text: str | None) -> dict[str, str]:
    lines = [line.partition(":") for line in (text or "").splitlines() if ":" in line]
    return {name: value for name, _, value in lines}
