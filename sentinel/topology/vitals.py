"""How a node fares by its own INFO: memory, disk and replication; pure.

The field names are those of https://redis.io/docs/latest/commands/info/, as Redis 6.2 and newer write them. What INFO
does not say, or we may not ask, is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.endpoints import Endpoint
from sentinel.protocol import Fields, address_of, number_in


@dataclass(frozen=True, slots=True)
class Vitals:
    """What INFO tells of one node; memory in bytes, times in seconds."""

    memory_used: int | None = None
    """What counts against the limit: replicas' buffers and the append-only file's do not."""
    memory_limit: int | None = None
    """0 where there is none."""
    disk_error: str | None = None
    """What Redis could not write to its disk, so that it refuses writes: `AOF` or `RDB`."""
    fork: str | None = None
    """What a child process writes at the moment: `AOF` or `RDB`."""
    rewrite_failed: bool | None = None
    """Whether the last rewrite of the append-only file failed; it grows then until one works."""
    loading: bool | None = None
    close_replicas: int | None = None
    """How many replicas it counts as close, where it wants some (min-replicas-to-write)."""
    history: str | None = None
    """The id of the history of writes that it has; replicas share their master's."""
    former_history: str | None = None
    """The one that it had as a replica, before it was promoted."""
    lags: tuple[tuple[Endpoint, int], ...] = ()
    """Of a master: how many seconds ago each replica confirmed what it has; one a second is usual."""

    @property
    def memory_share(self) -> float | None:
        """Return how much of its limit it uses; 1.0 is full. None where that is unknown or there is no limit."""
        if self.memory_used is None or not self.memory_limit:
            return None
        return self.memory_used / self.memory_limit


UNKNOWN = Vitals()


def vitals_in(info: Fields) -> Vitals:
    """Read INFO's default sections."""
    return Vitals(
        memory_used=_memory_used(info),
        memory_limit=number_in(info.get("maxmemory")),
        disk_error=_disk_error(info),
        fork=_fork(info),
        rewrite_failed=_is("aof_last_bgrewrite_status", "err", info),
        loading=_is("loading", "1", info),
        close_replicas=number_in(info.get("min_slaves_good_slaves")),
        history=info.get("master_replid"),
        former_history=info.get("master_replid2"),
        lags=tuple(_lags(info)),
    )


def _memory_used(info: Fields) -> int | None:
    used = number_in(info.get("used_memory"))
    return None if used is None else used - (number_in(info.get("mem_not_counted_for_evict")) or 0)


def _disk_error(info: Fields) -> str | None:
    """Name the error for which Redis refuses writes; one of a snapshot counts only where it takes them itself."""
    if info.get("aof_last_write_status") == "err":
        return "AOF"
    # Without `save` lines a failed snapshot stops nothing (writeCommandsDeniedByDiskError in Redis's server.c), and
    # INFO does not show them: with the append-only file on it is taken for such a node.
    failed = info.get("rdb_last_bgsave_status") == "err"
    return "RDB" if failed and info.get("aof_enabled") == "0" else None


def _fork(info: Fields) -> str | None:
    names = {"aof_rewrite_in_progress": "AOF", "rdb_bgsave_in_progress": "RDB"}
    return next((name for field, name in names.items() if info.get(field) == "1"), None)


def _is(field: str, value: str, info: Fields) -> bool | None:
    return info[field] == value if field in info else None


def _lags(info: Fields) -> list[tuple[Endpoint, int]]:
    """Read `slave0:ip=10.0.0.1,port=6379,state=online,offset=14,lag=0` and the like."""
    found = []
    for name, value in info.items():
        if name.startswith("slave") and name[5:].isdigit():
            fields = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
            endpoint, lag = address_of(fields), number_in(fields.get("lag"))
            if endpoint is not None and lag is not None and fields.get("state") == "online":
                found.append((endpoint, lag))
    return found
