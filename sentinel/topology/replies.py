"""Asking sentinels and nodes for what a snapshot holds of them, on Redis 6.2 and newer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from redis import ResponseError

from sentinel.endpoints import Endpoint
from sentinel.error_classes import ErrorKind, kind_of
from sentinel.errors import AccessRefused, TransientError, UnknownMasterName
from sentinel.protocol import (
    Fields,
    Role,
    address_in,
    address_of,
    all_fields_in,
    fields_in,
    flags_of,
    info_in,
    number_in,
    role_in,
    server_in,
)
from sentinel.topology.node_commands import right_to
from sentinel.topology.snapshot import KnownReplica, KnownSentinel, NodeState, SentinelState
from sentinel.topology.vitals import vitals_in

Found = TypeVar("Found")
# What INFO does not tell.
_SETTINGS = ("min-replicas-to-write", "repl-diskless-sync-delay")


class Answers:
    """What one process answers, and which rights it says we lack."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        """Put questions through `ask`, which gives a reply or raises RedisError."""
        self._ask = ask
        self.missing_rights: list[str] = []

    def to(self, *words: str) -> Any:
        """Return the reply to a question that must be answered; raises RedisError, noting a missing right."""
        try:
            return self._ask(*words)
        except AccessRefused as error:
            if _is_missing_right(error):
                self.missing_rights.append(right_to(words))
            raise

    def if_allowed(self, *words: str) -> Any:
        """Return the reply, or None where we lack the right; raises RedisError for anything else."""
        try:
            return self.to(*words)
        except AccessRefused as error:
            if _is_missing_right(error):
                return None
            raise

    def if_given(self, *words: str) -> Any:
        """Return the reply, or None where we lack the right, which is no loss; raises RedisError otherwise."""
        before = len(self.missing_rights)
        try:
            return self.if_allowed(*words)
        finally:
            del self.missing_rights[before:]


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
        raise UnknownMasterName(f"it watches no master named {name!r}")
    fields = _required(fields_in, answers.to("SENTINEL", "MASTER", name))
    replicas = _required(all_fields_in, answers.to("SENTINEL", "REPLICAS", name))
    peers = _required(all_fields_in, answers.to("SENTINEL", "SENTINELS", name))
    return SentinelState(
        endpoint,
        run_id=str(answers.to("SENTINEL", "MYID")),
        master=_required(address_in, address),
        epoch=number_in(fields.get("config-epoch")),
        flags=flags_of(fields),
        master_for_s=_seconds(fields.get("role-reported-time")),
        other_sentinels=number_in(fields.get("num-other-sentinels")),
        quorum=number_in(fields.get("quorum")),
        down_after_ms=number_in(fields.get("down-after-milliseconds")),
        failover_timeout_ms=number_in(fields.get("failover-timeout")),
        ckquorum=_ckquorum(name, answers),
        tilt=_tilt(answers),
        replicas=tuple(_known_replica(each) for each in replicas),
        peers=tuple(_known_sentinel(each) for each in peers),
        missing_rights=tuple(answers.missing_rights),
    )


def watched_names(answers: Answers) -> tuple[str, ...]:
    """Ask a sentinel for the names of the masters that it watches. Raises RedisError."""
    masters = all_fields_in(answers.if_given("SENTINEL", "MASTERS")) or []
    return tuple(sorted(each["name"] for each in masters if "name" in each))


def node_state(endpoint: Endpoint, answers: Answers, *, may_read_settings: bool) -> NodeState:
    """Ask a node for its role, and read its settings out of INFO.

    Args:
        endpoint: the node.
        answers: its answers.
        may_read_settings: whether CONFIG GET is asked for what INFO does not tell. To ask it is a right to all settings,
            passwords among them, so no user of ours has it, and a refusal would be an entry in ACL LOG each time.

    Raises:
        RedisError: it does not tell its role.
    """
    role = _required(role_in, answers.to("ROLE"))
    info = info_in(answers.if_allowed("INFO"))
    settings = _settings(answers) if may_read_settings else {}
    return NodeState(
        endpoint,
        role=role.role,
        follows=role.follows,
        link=role.link,
        offset=role.offset,
        # A master does not tell its own.
        priority=number_in(info.get("slave_priority")),
        # Told only where the number is not 0.
        needs_replicas="min_slaves_good_slaves" in info if info else None,
        min_replicas_to_write=number_in(settings.get("min-replicas-to-write")),
        appendonly={"0": False, "1": True}.get(info.get("aof_enabled", "")),
        maxmemory_policy=info.get("maxmemory_policy"),
        sync_delay_s=number_in(settings.get("repl-diskless-sync-delay")),
        server=server_in(info),
        version=_version(info.get("redis_version", "")),
        vitals=vitals_in(info),
        missing_rights=tuple(dict.fromkeys(answers.missing_rights)),
    )


def _settings(answers: Answers) -> Fields:
    """Read settings one by one, since CONFIG GET takes several only from Redis 7.0 on; who has no right misses little."""
    found: Fields = {}
    for name in _SETTINGS:
        found |= fields_in(answers.if_given("CONFIG", "GET", name)) or {}
    return found


def _version(text: str) -> tuple[int, ...] | None:
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else None


def _ckquorum(name: str, answers: Answers) -> str | None:
    try:
        reply = answers.if_allowed("SENTINEL", "CKQUORUM", name)
    except ResponseError as error:  # NOQUORUM and the reason
        return str(error)
    return None if reply is None else str(reply)


def _tilt(answers: Answers) -> bool | None:
    info = info_in(answers.if_allowed("INFO", "sentinel"))
    return {"0": False, "1": True}.get(info.get("sentinel_tilt", ""))


def _known_replica(fields: Fields) -> KnownReplica:
    return KnownReplica(
        _required(address_of, fields),
        flags_of(fields),
        number_in(fields.get("slave-priority")) or 0,
        Role(reported) if (reported := fields.get("role-reported", "")) in set(Role) else None,
        fields.get("runid") or None,
        _seconds(fields.get("role-reported-time")),
        _seconds(fields.get("s-down-time")),
    )


def _seconds(text: object) -> float | None:
    """Read what Sentinel tells in milliseconds."""
    milliseconds = number_in(text)
    return None if milliseconds is None else milliseconds / 1000


def _known_sentinel(fields: Fields) -> KnownSentinel:
    return KnownSentinel(_required(address_of, fields), flags_of(fields), fields.get("runid") or None)


def _required(read: Callable[[Any], Found | None], reply: Any) -> Found:
    """Read a reply. Raises TransientError where it is not of the expected shape."""
    found = read(reply)
    if found is None:
        raise TransientError(f"it answers with something unexpected: {reply!r:.80}")
    return found
