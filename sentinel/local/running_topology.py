"""A running embedded topology: asking it, waiting for it, disturbing it, setting it right again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from sentinel.endpoints import Endpoint
from sentinel.local import view as local_view
from sentinel.local.credentials import Credential, Credentials
from sentinel.local.process import LocalNode
from sentinel.local.view import SentinelView
from sentinel.local.waiting import wait_for


class TopologyError(Exception):
    """The embedded topology is not in the state the caller needs; the message says what is missing."""


class RunningTopology:
    """The processes of a topology and who may come in."""

    def __init__(self, master_name: str, credentials: Credentials | None, *, superuser: bool) -> None:
        """Know of no process yet."""
        self.master_name = master_name
        self.credentials = credentials
        self.nodes: tuple[LocalNode, ...] = ()
        self.sentinel_nodes: tuple[LocalNode, ...] = ()
        self.strangers: tuple[LocalNode, ...] = ()
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
        return local_view.connect(node.endpoint, self._admin_of(node))

    def sentinel_view(self) -> tuple[SentinelView, ...]:
        """Ask every sentinel what it knows."""
        return tuple(
            local_view.sentinel_view(sentinel, self.master_name, self._sentinel_ops())
            for sentinel in self.sentinels
        )

    def current_master(self) -> LocalNode:
        """Find the node that most sentinels name and that says itself that it is the master.

        Raises:
            TopologyError: there is none at the moment.
        """
        address = local_view.majority_address(self.sentinels, self.master_name, self._sentinel_ops())
        for node in self.nodes:
            if (
                node.endpoint == address
                and local_view.role_of(node.endpoint, self._admin_of(node)) == "master"
            ):
                return node
        raise TopologyError(
            f"No node is the master now: most sentinels name {address or 'none'}, and ROLE there does not agree."
        )

    def replicas(self) -> tuple[LocalNode, ...]:
        """All nodes but the current master.

        Raises:
            TopologyError: there is no master at the moment.
        """
        master = self.current_master()
        return tuple(node for node in self.nodes if node is not master)

    def is_healthy(self) -> bool:
        """Whether all processes run, follow one master, know each other, and could fail over."""
        return all(self._sees_everything(view) for view in self.sentinel_view()) and self._has_one_master()

    def wait_until_healthy(self, timeout: float = 60.0) -> None:
        """Wait for `is_healthy`, at most `timeout` seconds.

        Raises:
            TopologyError: it did not come to that; the message holds what the sentinels said last.
        """
        if not wait_for(self.is_healthy, timeout):
            raise TopologyError(f"Not healthy after {timeout:.0f} s: {self.sentinel_view()}")

    def failover(self) -> None:
        """Return a bare `SENTINEL FAILOVER` and do not wait for it.

        Raises:
            TopologyError: the sentinel refuses; the message is its own.
        """
        try:
            with self.admin(self.sentinel_nodes[0]) as sentinel:
                sentinel.execute_command("SENTINEL", "FAILOVER", self.master_name)
        except RedisError as error:
            raise TopologyError(f"{self.sentinel_nodes[0]} refuses the failover: {error}") from error

    def make_rogue(self, stranger: Endpoint) -> LocalNode:
        """Tell the master to follow a stranger, as somebody else's tool might; gives the node it was.

        Raises:
            TopologyError: there is no master at the moment.
        """
        master = self.current_master()
        with self.admin(master) as client:
            client.execute_command("REPLICAOF", stranger.host, stranger.port)
        return master

    def heal(self, timeout: float = 60.0) -> None:
        """Undo every fault: wake, restart, give each node its place again, and wait until it is healthy.

        Sentinel would do the latter by itself, but takes ten to thirty seconds.

        Raises:
            TopologyError: it does not become healthy in time.
        """
        for process in (*self.nodes, *self.sentinel_nodes):
            if process.running:
                process.resume()
            else:
                process.restart()
        if not wait_for(self._is_straightened, timeout, interval=0.1):
            raise TopologyError(f"Not healed after {timeout:.0f} s: {self.sentinel_view()}")

    def _is_straightened(self) -> bool:
        if self.is_healthy():
            return True
        views = self.sentinel_view()
        named = views[0].master
        # Anything else means that a failover is on its way, which must not be crossed.
        if named is not None and all(view.master == named and not view.failover for view in views):
            self._give_places(named)
        return False

    def _give_places(self, master: Endpoint) -> None:
        """Have the master follow nobody and every other node follow the master."""
        for node in self.nodes:
            wanted = None if node.endpoint == master else master
            role = local_view.role_of(node.endpoint, self._admin_of(node))
            if role and local_view.following(node.endpoint, self._admin_of(node))[0] != wanted:
                self._replicaof(node, wanted)

    def _replicaof(self, node: LocalNode, master: Endpoint | None) -> None:
        """Return the order, and have it outlive a restart; a node that is gone again is left to the next round."""
        with suppress(RedisError), self.admin(node) as client:
            client.execute_command("REPLICAOF", *(master or ("NO", "ONE")))
            client.execute_command("CONFIG", "REWRITE")

    def _sees_everything(self, view: SentinelView) -> bool:
        nodes = {node.endpoint for node in self.nodes}
        others = set(self.sentinels) - {view.sentinel}
        return view.master_is_up and view.replicas == nodes - {view.master} and view.sentinels == others

    def _has_one_master(self) -> bool:
        try:
            master = self.current_master()
        except TopologyError:
            return False
        return self._follow([node for node in self.nodes if node is not master], master)

    def _follow(self, replicas: Sequence[LocalNode], master: LocalNode) -> bool:
        wanted = (master.endpoint, True)
        return all(local_view.following(node.endpoint, self._admin_of(node)) == wanted for node in replicas)

    def _admin_of(self, node: LocalNode) -> Credential | None:
        if self.credentials is None or node in self.strangers:
            return None
        if node in self.sentinel_nodes:
            return self.credentials.sentinel_ops
        return self.credentials.redis_drill if self._superuser else self.credentials.redis_ops

    def _sentinel_ops(self) -> Credential | None:
        return self.credentials.sentinel_ops if self.credentials else None
