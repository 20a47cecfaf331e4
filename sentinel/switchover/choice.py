"""Leaving Sentinel only one replica to choose.

Sentinel chooses by priority, then by offset, then by run id, and takes no orders about it. Priorities are settings: to
change one takes a right that opens everything else, and Sentinel hears of it ten seconds later. But it passes over a
replica that it is not connected with (`link->disconnected` in Redis's sentinel.c, sentinelSelectSlave), connects anew at
most once a second, and selects about a tenth of a second after the order. So its connections to the other replicas are
closed, and closed once more as soon as it has connected again: from then on it is without them for the best part of a
second. Should it choose another one all the same, nothing is lost; the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.errors import TransientError
from sentinel.topology.findings import Finding, critical
from sentinel.topology.node_commands import NodeCommands, Words
from sentinel.topology.snapshot import Topology

# Of the second that it stays away, the order and the selection need the rest.
ALONE_FOR_S = 0.4
HIDE_WITHIN_S = 3.0
POLL_EVERY_S = 0.02
# Its connections are named after the first characters of its run id (`sentinel-<id>-cmd` and `-pubsub`).
_ID_LENGTH = 8
_ORDERS: Sequence[Words] = (("CLIENT", "LIST"), ("CLIENT", "KILL", "ID", "0"))


def refusals_to(topology: Topology, target: Endpoint) -> list[Finding]:
    """Return why this node can't be the next master."""
    allowed = " or ".join(str(node.endpoint) for node in topology.candidates) or "nobody at the moment"
    if target in {node.endpoint for node in topology.candidates}:
        return []
    if target == topology.named_master:
        found = f"{target} is the master already."
    elif topology.node(target) is None:
        found = f"No sentinel knows a node {target}."
    else:
        found = f"{target} can't be promoted: it is no replica in sync that may be."
    return [critical("no-such-candidate", found, f"Name {allowed}.")]


class Choice:
    """The leading sentinel's connections to the replicas that it is not to choose."""

    def __init__(
        self,
        nodes: NodeCommands,
        leader_id: str | None,
        others: Sequence[Endpoint],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Take the run id of the sentinel that will be ordered to fail over; touch nothing yet."""
        self._nodes = nodes
        self._name = f"sentinel-{(leader_id or '?')[:_ID_LENGTH]}-"
        self._others = others
        self._clock = clock
        self._sleep = sleep

    def refusals(self) -> list[Finding]:
        """Return which of them would not let us; nothing is closed for it."""
        found = []
        for node in self._others:
            try:
                why = ", ".join(f"+{right}" for right in self._nodes.rehearse(node, _ORDERS))
            except RedisError as error:
                why = str(error)
            if why:
                message = f"{node} would not let us choose in place of Sentinel: {why.rstrip('. ')}."
                remedy = "Set the operators' user in the settings, or leave the choice to Sentinel."
                found.append(critical("orders-refused", message, remedy))
        return found

    def leave_one(self, keep: Callable[[], None]) -> None:
        """Close the leader's connections, so that it can choose only who is left; order it at once then.

        Args:
            keep: is called now and then, to renew what is held meanwhile.

        Raises:
            TransientError: it could not be done in time.
            RedisError: a node does not answer.
        """
        ends_at = self._clock() + HIDE_WITHIN_S
        closed = dict.fromkeys(self._others, 0)
        closed_at = dict.fromkeys(self._others, 0.0)
        while not all(
            closed[node] > 1 and self._clock() - closed_at[node] < ALONE_FOR_S for node in self._others
        ):
            if self._clock() >= ends_at:
                raise TransientError("The sentinel could not be kept from choosing another replica in time")
            for node in self._others:
                if self._close(node):
                    closed[node] += 1
                    closed_at[node] = self._clock()
            keep()
            self._sleep(POLL_EVERY_S)

    def _close(self, node: Endpoint) -> bool:
        """Close the leader's connections to a node; return whether there were any."""
        ids = [
            fields["id"]
            for line in str(self._nodes.ask(node, "CLIENT", "LIST")).splitlines()
            if (fields := dict(part.split("=", 1) for part in line.split(" ") if "=" in part))
            and fields.get("name", "").startswith(self._name)
        ]
        for each in ids:
            self._nodes.ask(node, "CLIENT", "KILL", "ID", each)
        return bool(ids)
