"""Whether a node's memory holds its data, what replication needs beside them, and a fork."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.doctor.examination import Examination, Process
from sentinel.topology.findings import Finding, warning

_MIB = 1024 * 1024
NEARLY_FULL = 0.8
# The default of Redis, which some seconds of load fill.
SMALLEST_BACKLOG = 2 * _MIB
# What sentinel/config/redis.conf allows one replica to fall behind, where we may not read the setting.
SHIPPED_REPLICA_BUFFER = 64 * _MIB


def _there_is_a_limit(examination: Examination) -> Iterator[Finding]:
    for node in examination.nodes:
        if node.number("maxmemory") == 0:
            yield warning(
                "no-memory-limit",
                f"{node.endpoint} has no memory limit (maxmemory 0).",
                "Write maxmemory into its redis.conf: at most half of what the machine or the container has.",
            )


def _there_is_room(examination: Examination) -> Iterator[Finding]:
    for node in examination.nodes:
        limit, used = node.number("maxmemory"), _counted(node)
        if limit and used is not None and NEARLY_FULL * limit <= used < limit:
            yield warning(
                "memory-nearly-full",
                f"{node.endpoint} uses {used / _MIB:.0f} of its {limit / _MIB:.0f} MiB.",
                "Raise its maxmemory, or find what fills it: `flask deliveries list` shows what is owed.",
            )


def _the_backlog_fits(examination: Examination) -> Iterator[Finding]:
    for node in examination.nodes:
        limit, backlog = node.number("maxmemory"), node.number("repl_backlog_size")
        if backlog is None:
            continue
        if backlog < SMALLEST_BACKLOG:
            yield warning(
                "small-backlog",
                f"The replication backlog of {node.endpoint} holds {backlog / _MIB:.1f} MiB.",
                "Write repl-backlog-size 16mb into its redis.conf.",
            )
        elif limit and 2 * backlog > limit:
            yield warning(
                "backlog-against-limit",
                f"The replication backlog of {node.endpoint} ({backlog / _MIB:.0f} MiB) takes more than half of its memory limit "
                f"({limit / _MIB:.0f} MiB).",
                "Raise maxmemory, or lower repl-backlog-size in its redis.conf.",
            )


def _the_machine_holds_it_all(examination: Examination) -> Iterator[Finding]:
    """Add up what a node may come to use at the worst: the data, replicas that are behind, and a fork's copies."""
    replicas = max(0, len(examination.nodes) - 1)
    for node in examination.nodes:
        limit, total = node.number("maxmemory"), node.number("total_system_memory")
        if not limit or not total:
            continue
        buffers = replicas * _replica_buffer(node)
        needed = 2 * limit + buffers
        if needed > total:
            yield warning(
                "memory-of-machine",
                f"{node.endpoint} may come to use {needed / _MIB:.0f} MiB: its limit of {limit / _MIB:.0f}, as much again while a "
                f"fork writes, and {buffers / _MIB:.0f} of buffers for {replicas} replicas; its machine has {total / _MIB:.0f}.",
                "Lower maxmemory in its redis.conf, or give it a larger machine.",
            )


def _forks_work(examination: Examination) -> Iterator[Finding]:
    for node in examination.nodes:
        failed = [
            what
            for name, what in (
                ("rdb_last_bgsave_status", "snapshot"),
                ("aof_last_bgrewrite_status", "rewrite of the append-only file"),
            )
            if node.info.get(name) == "err"
        ]
        if failed:
            yield warning(
                "fork-failed",
                f"The last {' and the last '.join(failed)} of {node.endpoint} failed.",
                "Run sysctl vm.overcommit_memory=1 on its host, look for room on its disk and in its memory, and read its log; "
                "then run BGREWRITEAOF on it.",
            )


def _counted(node: Process) -> int | None:
    used = node.number("used_memory")
    return None if used is None else used - (node.number("mem_not_counted_for_evict") or 0)


def _replica_buffer(node: Process) -> int:
    """Return how far one replica may fall behind before it is cut off, in bytes."""
    words = (node.settings or {}).get("client-output-buffer-limit", "").split()
    for name in ("slave", "replica"):
        if name in words and words[words.index(name) + 1].isdigit():
            return int(words[words.index(name) + 1])
    return SHIPPED_REPLICA_BUFFER


CHECKS = (
    _there_is_a_limit,
    _there_is_room,
    _the_backlog_fits,
    _the_machine_holds_it_all,
    _forks_work,
)
