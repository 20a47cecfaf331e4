"""Which rights users must have for a failover to come, and which would let the app take everything over.

Sentinel's own CKQUORUM says OK where its user may not do what a failover takes. The users are those of
sentinel/config/*.acl; a deployment that calls them otherwise is told that they are not known.
"""

from __future__ import annotations

from sentinel.access import WriteProbe
from sentinel.topology.doctor.examination import Trial

_HELLO = "__sentinel__:hello"
_MASTER = "doctor"


def trials_on_node(probe: WriteProbe | None) -> list[Trial]:
    """Return what is tried on a data node; of the app where its login is known."""
    promotes = "without it no failover would ever come, though Sentinel says that it could"
    trials = [
        Trial("sentinel", ("PING",), must=True, why="without it the sentinels take the node for down"),
        Trial("sentinel", ("INFO",), must=True, why="without it Sentinel knows no replicas"),
        Trial("sentinel", ("SLAVEOF", "NO", "ONE"), must=True, why=promotes),
        Trial("sentinel", ("MULTI",), must=True, why=promotes),
        Trial("sentinel", ("EXEC",), must=True, why=promotes),
        Trial("sentinel", ("CONFIG", "REWRITE"), must=True, why=promotes),
        Trial("sentinel", ("CLIENT", "KILL", "TYPE", "normal"), must=True, why=promotes),
        Trial(
            "sentinel",
            ("PUBLISH", _HELLO, "x"),
            must=True,
            why="without it the sentinels do not find each other",
        ),
        Trial("replica", ("PSYNC", "?", "-1"), must=True, why="without it no replica can follow this node"),
        Trial(
            "replica", ("REPLCONF", "ACK", "0"), must=True, why="without it no replica can follow this node"
        ),
    ]
    app = probe.login.username if probe is not None else ""
    if app:
        takes = "whoever gets the app's password takes the data over"
        trials += [
            Trial(app, ("EVALSHA", "0" * 40, "0"), must=True, why="without it the app can write nothing"),
            Trial(app, ("ROLE",), must=True, why="without it the app believes in no master"),
            Trial(app, ("WAIT", "1", "1"), must=True, why="without it nothing is ever accepted"),
            Trial(app, ("REPLICAOF", "NO", "ONE"), must=False, why=takes),
            Trial(app, ("CONFIG", "SET", "maxmemory", "0"), must=False, why=takes),
            Trial(app, ("ACL", "SETUSER", app), must=False, why=takes),
            Trial(
                app,
                ("PUBLISH", _HELLO, "x"),
                must=False,
                why="with one message whoever gets the app's password has all sentinels follow a master of their own",
            ),
        ]
    return trials


def trials_on_sentinel() -> list[Trial]:
    """Return what is tried on a sentinel."""
    asks = ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", "6379", "0", "*")
    return [
        Trial("peer", asks, must=True, why="without it the sentinels agree on no failover"),
        Trial("peer", ("PING",), must=True, why="without it the sentinels take each other for down"),
        Trial(
            "app",
            ("SENTINEL", "FAILOVER", _MASTER),
            must=False,
            why="whoever gets the app's password moves the master at will",
        ),
        Trial(
            "app",
            ("SENTINEL", "SET", _MASTER, "quorum", "2"),
            must=False,
            why="whoever gets the app's password sets up the sentinels as they like",
        ),
    ]
