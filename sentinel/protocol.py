"""The replies of Redis and of Sentinel, parsed in one place; pure, and ready for whatever somebody may answer.

The shapes are those of ROLE (https://redis.io/docs/latest/commands/role/), INFO
(https://redis.io/docs/latest/commands/info/) and Sentinel's API
(https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Sentinel API"), on Redis 6.2 and newer.
What is not of the expected shape is None: the caller knows whom to blame, and whether it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint

Fields = dict[str, str]


class Role(StrEnum):
    """What a node says of itself in answer to ROLE; the values are Redis's words."""

    MASTER = "master"
    REPLICA = "slave"


@dataclass(frozen=True, slots=True)
class RoleReply:
    """An answer to ROLE."""

    role: Role
    offset: int
    """How much of the replication stream the node has, in bytes."""
    follows: Endpoint | None = None
    """The master of a replica."""
    link: str | None = None
    """A replica's connection to its master; `connected` is in sync."""


def role_in(reply: object) -> RoleReply | None:
    """Read the answer to ROLE, of a connection that decodes text or of one that does not."""
    match [_text(each) for each in reply] if isinstance(reply, list) else []:
        case [Role.MASTER, offset, *_] if (number := number_in(offset)) is not None:
            return RoleReply(Role.MASTER, number)
        case [Role.REPLICA, host, port, link, offset, *_]:
            follows, number = address_in([host, port]), number_in(offset)
            if follows is not None and number is not None:
                return RoleReply(Role.REPLICA, number, follows, link)
    return None


def address_in(reply: object) -> Endpoint | None:
    """Read `[host, port]`."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    host, port = reply
    number = number_in(port)
    if not isinstance(host, str) or not host or number is None or not 0 < number < 65536:
        return None
    return Endpoint(host, number)


def address_of(fields: Fields) -> Endpoint | None:
    """Read the address in Sentinel's description of a node or of a sentinel."""
    return address_in([fields.get("ip"), fields.get("port")])


def flags_of(fields: Fields) -> frozenset[str]:
    """Read the flags in such a description, such as `s_down`."""
    return frozenset(fields.get("flags", "").split(","))


def fields_in(reply: object) -> Fields | None:
    """Read a flat list: field, value, field, value ..."""
    if not isinstance(reply, list):
        return None
    return dict(zip(map(str, reply[::2]), map(str, reply[1::2]), strict=False))


def all_fields_in(reply: object) -> list[Fields] | None:
    """Read a list of such lists."""
    found = [fields_in(each) for each in reply] if isinstance(reply, list) else [None]
    fields = [each for each in found if each is not None]
    return fields if len(fields) == len(found) else None


def info_in(text: object) -> Fields:
    """Read the text of INFO; empty where there is none."""
    lines = [line.partition(":") for line in str(text or "").splitlines() if ":" in line]
    return {name: value for name, _, value in lines}


def server_in(info: Fields) -> str | None:
    """Read from INFO what a server is; Valkey tells the version of Redis that it is compatible with, too."""
    for name in ("valkey", "redis"):
        if version := info.get(f"{name}_version"):
            return f"{name.capitalize()} {version}"
    return None


def number_in(value: object) -> int | None:
    """Read a whole number."""
    try:
        return int(str(value))
    except ValueError:
        return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
