"""Whether the nodes are new enough and set to keep data, as far as INFO tells, and to whom they are open."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.topology.findings import Finding, critical, right_missing, warning
from sentinel.topology.snapshot import NodeState, Topology

OLDEST_VERSION = (6, 2)


def _versions_are_supported(topology: Topology) -> Iterator[Finding]:
    for node in topology.nodes:
        if node.version is not None and node.version < OLDEST_VERSION:
            version = ".".join(map(str, node.version))
            yield critical(
                "too-old",
                f"{node.endpoint} runs Redis {version}, and 6.2 is the oldest that works.",
                'Upgrade it: see "Upgrading Redis" in docs/procedures.md.',
            )


def _settings_keep_data(topology: Topology) -> Iterator[Finding]:
    for node in topology.nodes:
        if node.appendonly is False:
            yield _setting(node, "appendonly no", "after a restart it has lost everything", "appendonly yes")
        if node.needs_replicas is False and topology.replicas:
            consequence = "cut off from the others, it goes on accepting writes that will be lost"
            yield _setting(node, "min-replicas-to-write 0", consequence, "min-replicas-to-write 1")
        if node.maxmemory_policy not in {None, "noeviction"}:
            found = f"maxmemory-policy {node.maxmemory_policy}"
            consequence = "when its memory is full, it deletes mails without an error"
            yield _setting(node, found, consequence, "maxmemory-policy noeviction")


def _nodes_may_be_asked(topology: Topology) -> Iterator[Finding]:
    unknown = [node.endpoint for node in topology.nodes if "info" in node.missing_rights]
    if unknown:
        yield right_missing(unknown, "info", "for their memory, disk and settings", blocks_switchover=True)


def _nobody_comes_in_without_a_name(topology: Topology) -> Iterator[Finding]:
    opened = [node.endpoint for node in topology.nodes if node.is_open]
    opened += [sentinel.endpoint for sentinel in topology.sentinels if sentinel.is_open]
    if opened:
        verb = "takes" if len(opened) == 1 else "take"
        yield warning(
            "open",
            f"{', '.join(map(str, opened))} {verb} commands from everybody, without a name: whoever gets there reads all "
            "addresses, moves the master and puts jobs into the queue.",
            "Give Redis and Sentinel users, as sentinel/config/ has them; until then let the service's own hosts alone "
            "reach them.",
        )


def _setting(node: NodeState, found: str, consequence: str, wanted: str) -> Finding:
    message = f"{node.endpoint} is set to {found}: {consequence}."
    return warning("setting", message, f"Write {wanted} into its redis.conf.")


CHECKS = (
    _versions_are_supported,
    _settings_keep_data,
    _nodes_may_be_asked,
    _nobody_comes_in_without_a_name,
)
