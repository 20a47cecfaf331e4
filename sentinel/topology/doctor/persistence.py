"""Whether a node that may be the master comes back from a restart with its data."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.doctor.examination import Examination, Process
from sentinel.topology.findings import Finding, critical, warning

# A snapshot that is as old as the process was never written.
_JUST_STARTED_S = 2


def _restarts_keep_the_data(examination: Examination) -> Iterator[Finding]:
    topology = examination.topology
    for node in examination.nodes:
        state = topology.node(node.endpoint)
        if node.info.get("aof_enabled") != "0" or state is None or state.priority == 0:
            continue
        if _writes_snapshots(node) is False:
            yield critical(
                "empty-restart",
                f"{node.endpoint} may be the master and keeps nothing on its disk: neither an append-only file nor snapshots.",
                f"Run CONFIG SET appendonly yes on {node.endpoint}, and write appendonly yes into its redis.conf.",
            )


def _appending_is_not_far_behind(examination: Examination) -> Iterator[Finding]:
    for node in examination.nodes:
        delayed = node.number("aof_delayed_fsync") or 0
        if delayed > 100 and node.info.get("aof_enabled") == "1":
            yield warning(
                "slow-disk",
                f"The disk of {node.endpoint} was too slow for its append-only file {delayed} times since its start.",
                "Give it a faster disk, or one that nobody else uses.",
            )


def _writes_snapshots(node: Process) -> bool | None:
    """Return whether it writes snapshots by itself; None where that is not known."""
    if node.settings is not None and "save" in node.settings:
        return bool(node.settings["save"])
    saved, uptime, changes = (
        node.number(name)
        for name in ("rdb_last_save_time", "uptime_in_seconds", "rdb_changes_since_last_save")
    )
    now = node.number("server_time_usec")
    if None in {saved, uptime, changes} or saved is None or uptime is None or now is None:
        return None
    return saved > now / 1e6 - uptime + _JUST_STARTED_S


CHECKS = (_restarts_keep_the_data, _appending_is_not_far_behind)
