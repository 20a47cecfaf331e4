"""A frozen snapshot of one master's topology, as its sentinels and nodes described it.

Nothing in here talks to anybody: `survey` fills it, `checks` judges it, the commands show it. What somebody
did not answer, or we may not ask, is None, never a guess.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from sentinel.endpoints import Endpoint
from sentinel.protocol import Role
from sentinel.topology.vitals import UNKNOWN, Vitals
from sentinel.topology.writes import WriteAnswer

# Sentinel gives each node its role again within some ten seconds: what lasts longer does not pass by itself.
SETTLED_AFTER_S = 20.0


@dataclass(frozen=True, slots=True)
class NodeState:
    """What one data node says of itself; without an answer there is only the error, and whether it refused us."""

    endpoint: Endpoint
    error: str | None = None
    refused: bool = False
    is_unresolved: bool = False
    """Whether its name does not resolve on the machine that asks."""
    role: Role | None = None
    follows: Endpoint | None = None
    """The master of a replica, by the name the sentinels use where they know it."""
    link: str | None = None
    """A replica's connection to its master in ROLE's words; `connected` is in sync."""
    offset: int | None = None
    """How much of the replication stream it has, in bytes."""
    priority: int | None = None
    needs_replicas: bool | None = None
    """Whether it refuses writes without replicas (min-replicas-to-write)."""
    min_replicas_to_write: int | None = None
    """How many replicas it wants; INFO does not tell, so it is known only where there are no users."""
    appendonly: bool | None = None
    maxmemory_policy: str | None = None
    sync_delay_s: int | None = None
    """For how long a full copy waits for a second replica to join it."""
    server: str | None = None
    """What it is, and of which version: `Redis 7.0.15`, `Valkey 8.1.1`."""
    version: tuple[int, ...] | None = None
    """Of Redis; Valkey tells the Redis that it is compatible with."""
    is_open: bool | None = None
    """Whether it takes commands from whoever reaches it, without a name."""
    vitals: Vitals = UNKNOWN
    missing_rights: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        """Return whether its role is known."""
        return self.role is not None


class Trouble(StrEnum):
    """Why a sentinel names no master."""

    SILENT = "silent"
    REFUSES_US = "refuses us"
    TLS_FAILS = "TLS fails"
    WRONG_NAME = "watches others"
    NO_SENTINEL = "no sentinel"


@dataclass(frozen=True, slots=True)
class KnownReplica:
    """A replica as one sentinel sees it."""

    endpoint: Endpoint
    flags: frozenset[str]
    priority: int
    reported: Role | None = Role.REPLICA
    """What it said it was when this sentinel asked last, which may be ten seconds ago."""
    run_id: str | None = None
    """None until it answered this sentinel for the first time: before, Sentinel does not promote it."""
    reported_for_s: float | None = None
    """For how long it has said so, as far as this sentinel has heard."""
    down_for_s: float | None = None
    """For how long this sentinel has taken it for down; None where it does not."""

    @property
    def is_down(self) -> bool:
        """Return whether this sentinel would not promote it because it does not reach it."""
        return bool(self.flags & {"s_down", "o_down", "disconnected"})


@dataclass(frozen=True, slots=True)
class KnownSentinel:
    """A sentinel as another one sees it."""

    endpoint: Endpoint
    flags: frozenset[str]
    run_id: str | None
    """None until the two have met."""


@dataclass(frozen=True, slots=True)
class SentinelState:
    """What one sentinel knows; where it names no master there is only the trouble, in a name and in words."""

    endpoint: Endpoint
    error: str | None = None
    trouble: Trouble | None = None
    watches: tuple[str, ...] = ()
    """The names of the masters that it watches, where it watches none of ours."""
    run_id: str | None = None
    master: Endpoint | None = None
    epoch: int | None = None
    flags: frozenset[str] = frozenset()
    """Sentinel's words for the master's state: `master`, `s_down`, `failover_in_progress` ..."""
    master_for_s: float | None = None
    """For how long it has taken that node for the master, since its own start at most."""
    other_sentinels: int | None = None
    quorum: int | None = None
    down_after_ms: int | None = None
    failover_timeout_ms: int | None = None
    ckquorum: str | None = None
    """The answer to SENTINEL CKQUORUM: it starts with OK, or says what is missing."""
    tilt: bool | None = None
    replicas: tuple[KnownReplica, ...] = ()
    peers: tuple[KnownSentinel, ...] = ()
    """The other sentinels."""
    is_open: bool | None = None
    """As a node's."""
    missing_rights: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        """Return whether it named a master."""
        return self.master is not None

    @property
    def leads_failover(self) -> bool:
        """Return whether it is leading a failover at the moment."""
        return "failover_in_progress" in self.flags

    @property
    def has_quorum(self) -> bool | None:
        """Return whether it says that a failover could be agreed on; None where it may not be asked."""
        return None if self.ckquorum is None else self.ckquorum.startswith("OK")


@dataclass(frozen=True, slots=True)
class Topology:
    """Everybody, at one moment."""

    master_name: str
    sentinels: tuple[SentinelState, ...]
    nodes: tuple[NodeState, ...]
    write: WriteAnswer | None = None
    """What came of one small write on the named master; None where none was tried."""

    @property
    def answering(self) -> tuple[SentinelState, ...]:
        """The sentinels that answered."""
        return tuple(each for each in self.sentinels if each.answers)

    @property
    def sentinel_count(self) -> int:
        """How many sentinels there are: those we know, or as many as one of them counts."""
        counted = [each.other_sentinels + 1 for each in self.answering if each.other_sentinels is not None]
        named = [each for each in self.sentinels if each.trouble is not Trouble.NO_SENTINEL]
        return max([len(named), *counted])

    @property
    def named_masters(self) -> dict[Endpoint, int]:
        """Who is called the master by how many sentinels, the most often named first."""
        votes = Counter(each.master for each in self.answering if each.master is not None)
        return dict(votes.most_common())

    @property
    def is_agreed(self) -> bool:
        """Return whether all sentinels answer and name the same master."""
        return len(self.named_masters) == 1 and len(self.answering) == len(self.sentinels)

    @property
    def named_master(self) -> Endpoint | None:
        """The address most of the sentinels name that answered, whatever the node itself says."""
        return next(iter(self.named_masters), None)

    @property
    def master(self) -> NodeState | None:
        """The node at that address."""
        named = self.named_master
        return self.node(named) if named is not None else None

    @property
    def is_failing_over(self) -> bool:
        """Return whether a sentinel is leading a failover, or they do not name one master: an order might cross it."""
        return any(each.leads_failover for each in self.answering) or len(self.named_masters) > 1

    @property
    def is_unsettled(self) -> bool:
        """Return whether a failover is under way, may be about to come, or was a moment ago."""
        return (
            self.is_failing_over
            or self.master is None
            or not self.master.answers
            or any(each.flags & {"s_down", "o_down"} for each in self.answering)
            or any(
                each.master_for_s is not None and each.master_for_s < SETTLED_AFTER_S
                for each in self.answering
            )
            or any(self.is_just_promoted(node) for node in self.replicas)
        )

    def is_just_promoted(self, node: NodeState) -> bool:
        """Return whether a node that the sentinels do not name was made a master a moment ago.

        It was the named master's replica before: one of a failover under way, or somebody's REPLICAOF NO ONE. Sentinel
        decides within some seconds; what it has heard from such a node for longer is none of its doing.
        """
        if node.role is not Role.MASTER or node.endpoint == self.named_master:
            return False
        heard_s = [
            known.reported_for_s
            for each in self.answering
            for known in each.replicas
            if known.endpoint == node.endpoint
            and known.reported is Role.MASTER
            and known.reported_for_s is not None
        ]
        if any(each >= SETTLED_AFTER_S for each in heard_s):
            return False
        master = self.master
        if master is None or master.role is not Role.MASTER:
            return True
        return self.is_failing_over or (
            master.vitals.history is not None and master.vitals.history == node.vitals.former_history
        )

    @property
    def replicas(self) -> tuple[NodeState, ...]:
        """Every other node, whatever it says it is."""
        return tuple(each for each in self.nodes if each.endpoint != self.named_master)

    @property
    def candidates(self) -> tuple[NodeState, ...]:
        """The replicas Sentinel may promote: they follow the master, are in sync and have a priority."""
        return tuple(each for each in self.healthy_replicas if each.priority != 0)

    @property
    def healthy_replicas(self) -> tuple[NodeState, ...]:
        """The replicas that follow the master and are connected with it."""
        return tuple(
            each
            for each in self.replicas
            if each.role is Role.REPLICA and each.follows == self.named_master and each.link == "connected"
        )

    def node(self, endpoint: Endpoint) -> NodeState | None:
        """Find a node."""
        return next((each for each in self.nodes if each.endpoint == endpoint), None)

    def lag_of(self, replica: NodeState) -> int | None:
        """Return how many bytes of the master's stream a replica has yet to receive; None where unknown.

        The two were not asked at the same moment, so under load a few hundred bytes mean nothing.
        """
        master = self.master
        if (
            replica.role is not Role.REPLICA
            or master is None
            or master.offset is None
            or replica.offset is None
        ):
            return None
        return max(0, master.offset - replica.offset)

    def lag_s_of(self, replica: NodeState) -> int | None:
        """Return how long ago the master heard from a replica, in seconds; one is usual. None where unknown."""
        return dict(self.master.vitals.lags).get(replica.endpoint) if self.master is not None else None

    @property
    def master_for_s(self) -> float | None:
        """For how long the named master has been it, as far as a sentinel remembers: since its own start at most."""
        times = [
            each.master_for_s
            for each in self.answering
            if each.master == self.named_master and each.master_for_s is not None
        ]
        return max(times, default=None)

    @property
    def epoch(self) -> int | None:
        """The newest version of the sentinels' configuration; it grows with each failover."""
        return max((each.epoch for each in self.answering if each.epoch is not None), default=None)

    def views_of(self, node: Endpoint) -> dict[Endpoint, str]:
        """Return in a word what each answering sentinel takes a node for: master, replica, down or unknown."""
        return {each.endpoint: _view(each, node) for each in self.answering}

    def down_for_s(self, replica: Endpoint) -> float | None:
        """Return for how long the sentinels have taken a replica for down; None where one of them does not."""
        views = [known for each in self.answering for known in each.replicas if known.endpoint == replica]
        times = [view.down_for_s for view in views if view.down_for_s is not None]
        return min(times) if times and len(times) == len(views) else None

    def is_seen_down(self, replica: Endpoint) -> bool:
        """Return whether every sentinel that answered takes the replica for down, and so would not promote it."""
        views = [known for each in self.answering for known in each.replicas if known.endpoint == replica]
        return bool(views) and all(view.is_down for view in views)


def _view(sentinel: SentinelState, node: Endpoint) -> str:
    if sentinel.master == node:
        return "down" if sentinel.flags & {"s_down", "o_down"} else "master"
    known = next((each for each in sentinel.replicas if each.endpoint == node), None)
    if known is None:
        return "unknown"
    return "down" if known.is_down else "replica"
