"""How to reach the sentinels and the nodes: endpoints, logins and time limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.endpoints import Endpoint
from sentinel.tls import Tls


@dataclass(frozen=True)
class Login:
    """An ACL user; an empty name with a password is the classic `requirepass`, both empty is no login."""

    username: str = ""
    password: str = field(default="", repr=False)

    def arguments(self) -> dict[str, str | None]:
        """Return the redis-py arguments."""
        return {"username": self.username or None, "password": self.password or None}


@dataclass(frozen=True)
class WriteProbe:
    """How one small write shows whether the master takes the app's: by whose login, to which key."""

    login: Login
    key: str
    replicas: int = 0
    """So many replicas must have what the app writes before it counts."""


@dataclass(frozen=True)
class Access:
    """Everything needed to find the master and to talk to it; times in seconds.

    The sentinels' limit is short because they only answer from memory; the nodes' limits leave room for a
    fork or a slow disk. None of them bounds how long anybody waits for a master: callers do.
    """

    sentinels: tuple[Endpoint, ...]
    master_name: str
    node_login: Login = Login()
    sentinel_login: Login = Login()
    sentinel_timeout_s: float = 0.5
    node_connect_timeout_s: float = 1.0
    node_timeout_s: float = 3.0
    tls: Tls | None = None
    """None: connections are not encrypted."""
    probe: WriteProbe | None = None
    """For operators' commands; None: nothing is ever written to find out whether it could be."""
