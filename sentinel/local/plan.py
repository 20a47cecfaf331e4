"""Which processes an embedded topology consists of, and the environment each one's start script gets.

The scripts are those of a deployment, `sentinel/config/start-redis.sh` and `start-sentinel.sh`; only where
they listen, where they write and what they know from the beginning is different here.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sentinel.endpoints import Endpoint
from sentinel.local.options import LocalOptions
from sentinel.local.ports import LOOPBACK, PortReservation
from sentinel.local.process import LocalNode

CONFIG = Path(__file__).resolve().parents[1] / "config"


def shipped_times_ms() -> tuple[int, int]:
    """Return Sentinel's down-after and failover-timeout as the start script has them, in milliseconds."""
    script = (CONFIG / "start-sentinel.sh").read_text(encoding="utf-8")
    times = dict(re.findall(r'"\$\{SENTINEL_([A-Z_]+)_MS:=(\d+)\}"', script))
    return int(times["DOWN_AFTER"]), int(times["FAILOVER_TIMEOUT"])


@dataclass(frozen=True, slots=True)
class Planner:
    """Lays out the processes of one topology in its directory."""

    options: LocalOptions
    server: Path
    directory: Path
    secrets: Path
    ports: PortReservation

    def reserve_sentinels(self) -> dict[Endpoint, str]:
        """Choose where each sentinel will listen, and its id."""
        return {self._reserve(): secrets.token_hex(20) for _ in range(self.options.sentinels)}

    def nodes(self, sentinels: Iterable[Endpoint]) -> tuple[LocalNode, ...]:
        """Plan the master and its replicas, master first."""
        endpoints = [self._reserve() for _ in range(1 + self.options.replicas)]
        asked = {
            "REDIS_SENTINELS": ",".join(map(str, sentinels)),
            "SENTINEL_MASTER_NAME": self.options.master_name,
        }
        master = {"REDIS_REPLICAOF": _words(endpoints[0])}
        return tuple(
            self._node(f"redis-{number}", endpoint, asked | (master if number > 1 else {}))
            for number, endpoint in enumerate(endpoints, start=1)
        )

    def sentinels(self, nodes: tuple[LocalNode, ...], peers: dict[Endpoint, str]) -> tuple[LocalNode, ...]:
        """Plan the sentinels at the endpoints and with the ids that were reserved.

        The replicas and the other sentinels stand in the configuration of each, which saves the ten seconds in
        which it would find them by itself.
        """
        watched = {
            "SENTINEL_MASTER_NAME": self.options.master_name,
            "SENTINEL_MASTER": _words(nodes[0].endpoint),
            "SENTINEL_QUORUM": str(self.options.quorum),
            "SENTINEL_KNOWN_REPLICAS": "\n".join(_words(node.endpoint) for node in nodes[1:]),
        }
        watched |= self.options.times()
        return tuple(
            self._sentinel(f"sentinel-{number}", endpoint, watched, peers)
            for number, endpoint in enumerate(peers, start=1)
        )

    def stranger(self, name: str, *, shares_users: bool) -> LocalNode:
        """Plan a Redis that is no part of the topology; with our users it would sync its empty data to our nodes."""
        alone = {"REDIS_MIN_REPLICAS_TO_WRITE": "0"}
        if not shares_users:
            alone["REDIS_ACL"] = "no"
        return self._node(name, self._reserve(), alone)

    def _reserve(self) -> Endpoint:
        endpoint = self.ports.reserve()
        return endpoint._replace(host=self.options.hostname) if self.options.hostname else endpoint

    def _node(self, name: str, endpoint: Endpoint, more: dict[str, str]) -> LocalNode:
        limits = {
            "REDIS_MAXMEMORY": self.options.maxmemory,
            "REDIS_MIN_REPLICAS_TO_WRITE": str(self.options.min_replicas_to_write),
        }
        if self.options.superuser:
            limits["REDIS_EXTRA_USERS"] = str(CONFIG / "drill-user.acl")
        return self._server(name, endpoint, "start-redis.sh", limits | more)

    def _sentinel(
        self, name: str, endpoint: Endpoint, watched: dict[str, str], peers: dict[Endpoint, str]
    ) -> LocalNode:
        others = [f"{_words(peer)} {peer_id}" for peer, peer_id in peers.items() if peer != endpoint]
        own = {"SENTINEL_ID": peers[endpoint], "SENTINEL_KNOWN_SENTINELS": "\n".join(others)}
        return self._server(name, endpoint, "start-sentinel.sh", watched | own)

    def _server(self, name: str, endpoint: Endpoint, script: str, more: dict[str, str]) -> LocalNode:
        directory = self.directory / name
        directory.mkdir(mode=0o700)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "REDIS_SERVER": str(self.server),
            "REDIS_DATA": str(directory),
            "REDIS_SECRETS": str(self.secrets),
            "REDIS_BIND": LOOPBACK,
            "REDIS_PORT": str(endpoint.port),
            "REDIS_ACL": "yes" if self.options.acl else "no",
            "REDIS_ANNOUNCE_HOST": self.options.hostname or "",
            "REDIS_TLS": "yes" if self.options.tls else "no",
            "REDIS_TLS_AUTH_CLIENTS": self.options.tls_auth_clients,
        }
        return LocalNode(name, endpoint, directory, CONFIG / script, environment | more)


def _words(endpoint: Endpoint) -> str:
    """Return an endpoint as Redis's configuration wants it."""
    return f"{endpoint.host} {endpoint.port}"
