"""A running embedded topology: asking it, waiting for it, disturbing it, repairing it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from sentinel.access import Access, Login, WriteProbe
from sentinel.direct_connection import NodeConnection, connection_arguments
from sentinel.endpoints import Endpoint
from sentinel.local.credentials import Credentials
from sentinel.local.process import LocalNode
from sentinel.local.waiting import wait_for
from sentinel.protocol import Role
from sentinel.tls import Tls
from sentinel.topology.snapshot import SentinelState, Topology
from sentinel.topology.survey import commands_to, survey, survey_with

# Short, so that a dead or hung process costs little.
REPLY_TIMEOUT_S = 0.5
# A key that the app's user may write (sentinel/config/redis-users.acl).
PROBE_KEY = "verifier:probe"


class TopologyError(Exception):
    """The embedded topology is not in the state the caller needs; the message says what is missing."""


def connect(endpoint: Endpoint, login: Login, tls: Tls | None = None) -> Redis:
    """Return a client of one process that answers within half a second or fails; use it in a `with`."""
    return Redis.from_pool(
        ConnectionPool(
            connection_class=NodeConnection,
            host=endpoint.host,
            port=endpoint.port,
            socket_timeout=REPLY_TIMEOUT_S,
            socket_connect_timeout=REPLY_TIMEOUT_S,
            decode_responses=True,
            **connection_arguments(login, tls),
        )
    )


class RunningTopology:
    """The processes of a topology, and the logins to them."""

    def __init__(self, master_name: str, credentials: Credentials | None, *, superuser: bool) -> None:
        self.master_name = master_name
        self.credentials = credentials
        self.nodes: tuple[LocalNode, ...] = ()
        self.sentinel_nodes: tuple[LocalNode, ...] = ()
        self.strangers: tuple[LocalNode, ...] = ()
        self.tls: Tls | None = None
        self._superuser = superuser

    @property
    def sentinels(self) -> tuple[Endpoint, ...]:
        """Where the sentinels listen."""
        return tuple(sentinel.endpoint for sentinel in self.sentinel_nodes)

    @property
    def processes(self) -> tuple[LocalNode, ...]:
        """Every process, strangers that still run included."""
        running = (stranger for stranger in self.strangers if stranger.running)
        return (*self.nodes, *self.sentinel_nodes, *running)

    def admin(self, node: LocalNode) -> Redis:
        """Connect to one process with the most rights there are; answers within half a second or fails.

        On a data node that is the superuser, where there is one, else the operators' user.
        """
        return connect(node.endpoint, self._admin_login(node), self.tls)

    def operators_access(self) -> Access:
        """Return how an operator's commands reach this topology."""
        users = self.credentials
        node_login, sentinel_login = (users.redis_ops, users.sentinel_ops) if users else (Login(), Login())
        app = users.redis_app if users else Login()
        probe = WriteProbe(app, PROBE_KEY, min(1, len(self.nodes) - 1))
        return Access(self.sentinels, self.master_name, node_login, sentinel_login, tls=self.tls, probe=probe)

    def snapshot(self) -> Topology:
        """Ask every sentinel and every node; whoever does not answer within half a second is silent."""
        return survey(self._impatient_access())

    def current_master(self) -> LocalNode:
        """Return the node that most sentinels name and that says itself that it is the master.

        Raises:
            TopologyError: there is none at the moment.
        """
        snapshot = self._look()
        master = self._node_at(self._master_in(snapshot))
        if master is not None:
            return master
        named = ", ".join(f"{endpoint} by {count}" for endpoint, count in snapshot.named_masters.items())
        raise TopologyError(
            f"No node is the master now: most of the {len(self.sentinels)} sentinels have to name it, and its own "
            f"answer to ROLE has to agree; the sentinels name {named or 'none'}."
        )

    def replicas(self) -> tuple[LocalNode, ...]:
        """Return all nodes but the current master.

        Raises:
            TopologyError: there is no master at the moment.
        """
        master = self.current_master()
        return tuple(node for node in self.nodes if node is not master)

    def is_healthy(self) -> bool:
        """Return whether all processes run, follow one master, know each other, and could fail over."""
        return self._healthy_master_in(self._look()) is not None

    def failover(self) -> None:
        """Order a bare `SENTINEL FAILOVER` and do not wait for it.

        Raises:
            TopologyError: the sentinel refuses; the message is its own.
        """
        try:
            with self.admin(self.sentinel_nodes[0]) as sentinel:
                sentinel.execute_command("SENTINEL", "FAILOVER", self.master_name)
        except RedisError as error:
            raise TopologyError(f"{self.sentinel_nodes[0]} refuses the failover: {error}") from error

    def make_rogue(self, stranger: Endpoint) -> LocalNode:
        """Make the master follow a stranger, as somebody else's tool might; return the node it was.

        Raises:
            TopologyError: there is no master at the moment.
        """
        master = self.current_master()
        with self.admin(master) as client:
            client.execute_command("REPLICAOF", stranger.host, stranger.port)
        return master

    def heal(self, timeout_s: float = 60.0) -> LocalNode:
        """Undo every fault: resume, restart, give each node its role again, wait until it is healthy; return the master.

        Sentinel would restore the roles by itself, but takes ten to thirty seconds.

        Raises:
            TopologyError: it does not become healthy in time; the message holds the last snapshot.
        """
        for process in (*self.nodes, *self.sentinel_nodes):
            if process.running:
                process.resume()
            else:
                process.restart()
        master: LocalNode | None = None

        def is_repaired() -> bool:
            nonlocal master
            master = self._repair()
            return master is not None

        wait_for(is_repaired, timeout_s, interval_s=0.1)
        if master is None:
            raise TopologyError(f"Not healthy {timeout_s:.0f} s after all was undone: {self.snapshot()}")
        return master

    def _repair(self) -> LocalNode | None:
        """Return the master where all is healthy; otherwise restore the roles."""
        snapshot = self._look()
        master = self._healthy_master_in(snapshot)
        # Anything else means that a failover is on its way, which must not be crossed.
        if (
            master is None
            and snapshot.is_agreed
            and not any(each.leads_failover for each in snapshot.sentinels)
        ):
            self._restore_roles(snapshot)
        return master

    def _restore_roles(self, snapshot: Topology) -> None:
        """Have the master follow nobody and every other node follow the master."""
        for node in self.nodes:
            wanted = None if node.endpoint == snapshot.named_master else snapshot.named_master
            state = snapshot.node(node.endpoint)  # None: no sentinel knows it yet
            if state is None or (state.answers and state.follows != wanted):
                self._replicaof(node, wanted)

    def _replicaof(self, node: LocalNode, master: Endpoint | None) -> None:
        """Send the order, and have it outlive a restart; the next round repeats it where a node is gone again."""
        with suppress(RedisError), self.admin(node) as client:
            client.execute_command("REPLICAOF", *(master or ("NO", "ONE")))
            client.execute_command("CONFIG", "REWRITE")

    def _impatient_access(self) -> Access:
        return replace(
            self.operators_access(),
            sentinel_timeout_s=REPLY_TIMEOUT_S,
            node_timeout_s=REPLY_TIMEOUT_S,
            probe=None,
        )

    def _look(self) -> Topology:
        """Take a snapshot without asking who is open to everybody, which takes a connection more to each."""
        access = self._impatient_access()
        with commands_to(access) as (sentinels, nodes):
            return survey_with(sentinels, nodes, access)

    def _healthy_master_in(self, snapshot: Topology) -> LocalNode | None:
        """Return the master where all follow it, know each other, and could fail over."""
        master = self._master_in(snapshot)
        in_sync = {each.endpoint for each in snapshot.healthy_replicas}
        is_healthy = (
            master is not None
            and all(self._knows_everybody(each) for each in snapshot.sentinels)
            and in_sync == self._nodes_without(master)
        )
        return self._node_at(master) if is_healthy else None

    def _node_at(self, endpoint: Endpoint | None) -> LocalNode | None:
        return next((node for node in self.nodes if node.endpoint == endpoint), None)

    def _knows_everybody(self, sentinel: SentinelState) -> bool:
        """Return whether a sentinel is connected with everybody and could promote each replica."""
        peers = {each.endpoint for each in sentinel.peers if each.flags == {"sentinel"} and each.run_id}
        usable = {each.endpoint for each in sentinel.replicas if each.flags == {"slave"} and each.run_id}
        return (
            sentinel.flags == {"master"}
            and usable == self._nodes_without(sentinel.master)
            and peers == set(self.sentinels) - {sentinel.endpoint}
        )

    def _master_in(self, snapshot: Topology) -> Endpoint | None:
        """Return whom more than half of the sentinels name, if that one is a master by its own word."""
        master = snapshot.master
        if master is None or master.role is not Role.MASTER:
            return None
        votes = snapshot.named_masters[master.endpoint]
        return master.endpoint if 2 * votes > len(self.sentinels) else None

    def _nodes_without(self, master: Endpoint | None) -> set[Endpoint]:
        return {node.endpoint for node in self.nodes} - {master}

    def _admin_login(self, node: LocalNode) -> Login:
        if self.credentials is None or node in self.strangers:
            return Login()
        if node in self.sentinel_nodes:
            return self.credentials.sentinel_ops
        return self.credentials.redis_drill if self._superuser else self.credentials.redis_ops
