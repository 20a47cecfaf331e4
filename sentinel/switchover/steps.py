"""What a planned switchover asks and orders, step by step; when and for how long is decided in `switchover`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from redis import RedisError

from sentinel.endpoints import Endpoint
from sentinel.errors import Backpressure, TransientError
from sentinel.protocol import Role, address_in, address_of, all_fields_in, fields_in, flags_of, role_in
from sentinel.topology.findings import Finding, critical
from sentinel.topology.node_commands import NodeCommands, Words
from sentinel.topology.snapshot import Topology


class Steps:
    """The steps on one surveyed topology, which has a master."""

    def __init__(self, topology: Topology, sentinels: NodeCommands, nodes: NodeCommands) -> None:
        self._sentinels = sentinels
        self._nodes = nodes
        self._name = topology.master_name
        self._majority = topology.sentinel_count // 2 + 1
        self._sentinel_endpoints = [each.endpoint for each in topology.answering]
        self._replicas = [node.endpoint for node in topology.healthy_replicas]
        self.candidates = tuple(node.endpoint for node in topology.candidates)

    def refusals(self, old: Endpoint) -> list[Finding]:
        """Return why the old master would not take a switchover's orders; nothing is ordered for it."""
        pausing: Sequence[Words] = (("CLIENT", "PAUSE", "1", "WRITE"), ("CLIENT", "UNPAUSE"))
        try:
            missing = self._nodes.rehearse(old, [*pausing, *_demotion(old)])
        except Backpressure:
            return [_no_room(old)]
        except RedisError as error:
            return [_refused(old, str(error))]
        rights = ", ".join(f"+{right}" for right in dict.fromkeys(missing))
        return [_refused(old, f"it lacks the rights {rights}")] if missing else []

    def written(self, old: Endpoint) -> int:
        """Return how far the old master has written, in bytes of its replication stream. Raises RedisError."""
        role = role_in(self._nodes.ask(old, "ROLE"))
        if role is None or role.role is not Role.MASTER:
            raise TransientError(f"{old} is not the master any more")
        return role.offset

    def are_in_sync(self, offset: int) -> bool:
        """Return whether all candidates have everything up to an offset."""
        return all(
            _received(role) >= offset for role in self._nodes.ask_all(self.candidates, "ROLE").values()
        )

    def order(self) -> None:
        """Order a sentinel to fail over. Raises RedisError; with a ResponseError or a PermanentError it will not."""
        self._sentinels.ask(self._sentinel_endpoints[0], "SENTINEL", "FAILOVER", self._name)

    def promoted(self) -> Endpoint | None:
        """Return the replica that says it is a master now; the sentinels learn of it up to a second later."""
        roles = self._nodes.ask_all(self.candidates, "ROLE")
        return next((node for node, role in roles.items() if _is_master(role)), None)

    def redirect(self, master: Endpoint) -> None:
        """Have the other replicas follow a master, as Sentinel does when it has noticed.

        Doing it at once matters: the old master still sends its replicas a ping every ten seconds. One that
        gets such a ping after the promotion is ahead of the new master by 14 bytes, and then has to copy
        everything, for as long as which the new master finds nobody to acknowledge its writes.
        """
        for replica in self._replicas:
            if replica != master and not _is_master(self._nodes.reply_or_error(replica, ("ROLE",))):
                self._nodes.reply_or_error(replica, ("REPLICAOF", master.host, str(master.port)))

    def decided(self, old: Endpoint) -> Endpoint | None:
        """Return the new master, once that is final and it says so itself.

        It is final when the sentinel that was ordered to fail over names it: by then it has seen the promotion and
        written it to its disk with a newer epoch, which all others take over as soon as they hear of it, about
        0.1 s later. Should that sentinel be gone, a majority of the others is as good.
        """
        replies = self._sentinels.ask_all(
            self._sentinel_endpoints, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name
        )
        named = {each: address_in(reply) for each, reply in replies.items()}
        votes = Counter(each for each in named.values() if each is not None)
        for new, count in votes.items():
            final = named[self._sentinel_endpoints[0]] == new or count >= self._majority
            if new != old and final and _is_master(self._nodes.reply_or_error(new, ("ROLE",))):
                return new
        return None

    def demote(self, old: Endpoint, new: Endpoint) -> str | None:
        """Have the old master follow the new one and hang up on its clients, all at once.

        Returns:
            what an operator should look after, if anything.

        Raises:
            RedisError: it does not follow the new master, or nobody knows.
        """
        followed, remembered, *_ = self._nodes.transact(old, _demotion(new))
        if isinstance(followed, Exception):
            raise followed
        if isinstance(remembered, Exception):
            return (
                f"{old} could not write its new role into its configuration file ({remembered}): restarted now, it "
                "would be a master for some seconds. Make the file and its directory writable, then run CONFIG REWRITE."
            )
        return None

    def is_settled(self, old: Endpoint, new: Endpoint) -> bool:
        """Return whether the old master is in sync with the new, and all sentinels are done with the failover.

        That is when they have also noticed the old one's role: before, another failover might be undone.
        """
        views = self._sentinels.ask_all(self._sentinel_endpoints, "SENTINEL", "MASTER", self._name)
        replicas = self._sentinels.ask_all(self._sentinel_endpoints, "SENTINEL", "REPLICAS", self._name)
        done = all(_is_done(view, new) for view in views.values())
        if not done or not all(_are_all_replicas(known) for known in replicas.values()):
            return False
        return _received(self._nodes.reply_or_error(old, ("ROLE",))) >= 0


def _demotion(new: Endpoint) -> Sequence[Words]:
    """Return one transaction, with the hang-up in it: no client may find out that it writes to a replica."""
    return (
        ("REPLICAOF", new.host, str(new.port)),
        ("CONFIG", "REWRITE"),
        ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
        ("CLIENT", "KILL", "TYPE", "pubsub"),
    )


def _is_master(reply: object) -> bool:
    role = role_in(reply)
    return role is not None and role.role is Role.MASTER


def _received(reply: object) -> int:
    """Read from ROLE how much a replica has received; -1 where it is no replica or not in sync."""
    role = role_in(reply)
    return role.offset if role is not None and role.link == "connected" else -1


def _are_all_replicas(reply: object) -> bool:
    """Return whether a sentinel has heard of each replica it reaches that it is one."""
    known = all_fields_in(reply)
    if known is None:
        return False
    reached = [each for each in known if "s_down" not in flags_of(each)]
    return all(each.get("role-reported") == Role.REPLICA for each in reached)


def _is_done(reply: object, new: Endpoint) -> bool:
    fields = fields_in(reply) or {}
    return address_of(fields) == new and flags_of(fields) == {"master"}


def _refused(master: Endpoint, why: str) -> Finding:
    return critical(
        "orders-refused",
        f"The master {master} would not take a switchover's orders from our user: {why.rstrip('. ')}.",
        "Set the operators' user in the settings, or give this user its rights.",
    )


def _no_room(master: Endpoint) -> Finding:
    return critical(
        "no-room",
        f"The memory of the master {master} is full, and it takes no transaction then, not even the one that makes it "
        "a replica.",
        "Raise its maxmemory, or wait until there is room.",
    )
