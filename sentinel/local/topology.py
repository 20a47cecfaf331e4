"""An embedded topology: a master, replicas and sentinels as real processes on loopback.

For development, tests and drills. It runs the very files a deployment runs, `sentinel/config/`, on free ports
with random passwords in a temporary directory. When `start` returns, every replica is in sync and every
sentinel knows the master, the replicas and the other sentinels: a failover right then would work. When the
process that started it ends, in whatever way, the servers end too.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

from sentinel.access import Login
from sentinel.local.binary import find_redis_server
from sentinel.local.certificates import make_certificates, tls_to
from sentinel.local.credentials import Credentials
from sentinel.local.directory import LocalDirectory
from sentinel.local.options import LocalOptions
from sentinel.local.plan import Planner
from sentinel.local.ports import PortReservation
from sentinel.local.process import START_TIMEOUT_S, STOP_TIMEOUT_S, LocalNode, Spawner
from sentinel.local.running_topology import RunningTopology, TopologyError
from sentinel.local.waiting import wait_for
from sentinel.protocol import role_in


class LocalTopology(RunningTopology):
    """Starts and stops the processes; while they run, it is a `RunningTopology`. Not restartable."""

    def __init__(self, options: LocalOptions | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Plan it; nothing runs before `start`. `environ` is where a redis-server is looked for."""
        self.options = options or LocalOptions()
        credentials = Credentials.random() if self.options.acl else None
        super().__init__(self.options.master_name, credentials, superuser=self.options.superuser)
        self._environ = os.environ if environ is None else environ
        self._ports = PortReservation()
        self._spawner: Spawner | None = None
        self._local_directory: LocalDirectory | None = None
        self._planner: Planner | None = None
        self._owner = os.getpid()
        self._stopping = threading.Lock()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def directory(self) -> Path:
        """Where each process has its configuration, data and log.

        Raises:
            TopologyError: nothing was started yet.
        """
        return self._plan().directory

    def start(self) -> None:
        """Start everything and wait until a failover would work.

        Raises:
            RedisServerMissing: there is no redis-server to run.
            LocalStartError: a server did not start; the message holds the end of its log.
            TopologyError: it was started before, the directory named in the options is not empty, or the servers
                do not find each other.
        """
        if self._planner is not None:
            raise TopologyError("This embedded topology was started before: make another one.")
        server = self.options.redis_server or find_redis_server(self._environ)
        self._local_directory = LocalDirectory(self.options.directory)
        directory = self._local_directory.path
        self._planner = Planner(self.options, server, directory, directory / "secrets", self._ports)
        self._owner = os.getpid()
        self._spawner = Spawner()
        atexit.register(self.stop)
        try:
            self._start_all(self._planner, self._spawner)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything and remove what was temporary; does nothing a second time or in a forked child."""
        if os.getpid() != self._owner:
            return
        with self._stopping:
            if self._spawner is None or self._local_directory is None:
                return
            atexit.unregister(self.stop)
            self._end_processes()
            self._spawner.close()
            self._spawner = None
            self._ports.release()
            self._local_directory.release()

    def start_stranger(self, *, shares_users: bool = False) -> LocalNode:
        """Start a Redis that is no part of the topology, for `make_rogue`; it ends with the topology.

        With `shares_users` it accepts our nodes as replicas and syncs its empty data to them: they are wiped.

        Raises:
            LocalStartError: it does not start.
            TopologyError: the topology does not run.
        """
        planner, spawner = self._plan(), self._spawner
        if spawner is None:
            raise TopologyError("The embedded topology was stopped: start another one.")
        name = f"stranger-{len(self.strangers) + 1}"
        stranger = planner.stranger(name, shares_users=shares_users)
        self.strangers = (*self.strangers, stranger)
        stranger.order_first_master()
        _start([stranger], spawner)
        return stranger

    def environment(self) -> dict[str, str]:
        """Return the settings that lead the app, the worker and the operators' commands to this topology."""
        settings = {
            "VERIFIER_SENTINELS": ",".join(map(str, self.sentinels)),
            "VERIFIER_SENTINEL_MASTER": self.master_name,
        }
        if self.credentials is not None:
            settings |= _user_settings("VERIFIER_REDIS", self.credentials.redis_app)
            settings |= _user_settings("VERIFIER_SENTINEL", self.credentials.sentinel_app)
            settings |= _user_settings("VERIFIER_REDIS_OPS", self.credentials.redis_ops)
            settings |= _user_settings("VERIFIER_SENTINEL_OPS", self.credentials.sentinel_ops)
        if self.tls is not None:
            settings |= {
                "VERIFIER_REDIS_TLS": "true",
                "VERIFIER_REDIS_TLS_CA_FILE": str(self.tls.ca_file),
                "VERIFIER_REDIS_TLS_CERT_FILE": str(self.tls.certificate_file),
                "VERIFIER_REDIS_TLS_KEY_FILE": str(self.tls.key_file),
            }
        return settings

    def _plan(self) -> Planner:
        if self._planner is None:
            raise TopologyError("The embedded topology does not run: start it first.")
        return self._planner

    def _start_all(self, planner: Planner, spawner: Spawner) -> None:
        """Start the master first, since a replica that finds none waits a second; the sentinels last."""
        if self.credentials is not None:
            self.credentials.write(planner.secrets)
        if self.options.tls:
            make_certificates(planner.secrets, names=self.options.hostname or "")
            self.tls = tls_to(planner.secrets)
        peers = planner.reserve_sentinels()
        self.nodes = planner.nodes(peers)
        self.sentinel_nodes = planner.sentinels(self.nodes, peers)
        master, replicas = self.nodes[0], self.nodes[1:]
        master.order_first_master()
        _start([master], spawner)
        _start(replicas, spawner)
        _require(
            lambda: all(self._is_in_sync(each, master) for each in replicas),
            "The replicas did not get in sync with the master",
        )
        _start(self.sentinel_nodes, spawner)
        _require(self.is_healthy, "The sentinels did not find each other and all nodes")

    def _is_in_sync(self, replica: LocalNode, master: LocalNode) -> bool:
        with suppress(RedisError), self.admin(replica) as client:
            reply = role_in(client.execute_command("ROLE"))
            return reply is not None and (reply.follows, reply.link) == (master.endpoint, "connected")
        return False

    def _end_processes(self) -> None:
        """End all at once: sentinels must not see their nodes go one by one."""
        for process in self.processes:
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self.processes:
            process.wait_until_ended(deadline)


def _start(nodes: Sequence[LocalNode], spawner: Spawner) -> None:
    """Start them side by side, and wait for each to listen."""
    for node in nodes:
        node.spawn(spawner)
    for node in nodes:
        node.wait_until_listening()


def _require(condition: Callable[[], bool], complaint: str) -> None:
    if not wait_for(condition, START_TIMEOUT_S, interval_s=0.05):
        raise TopologyError(
            f"{complaint} within {START_TIMEOUT_S:.0f} s: look whether this machine is overloaded."
        )


def _user_settings(prefix: str, login: Login) -> dict[str, str]:
    return {f"{prefix}_USERNAME": login.username, f"{prefix}_PASSWORD": login.password}
