"""A master and its replica as processes on loopback, and what may befall them: no sentinels, a test says when."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from redis import Connection, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from sentinel import Endpoint, PortReservation, tied_to_this_process, wait_for
from sentinel.error_classes import translate
from sentinel.local.binary import find_redis_server
from verifier.store import keyspace

NOBODY = ("127.0.0.1", 1)
SHIFT = (Path(__file__).parent / "shift.lua").read_text(encoding="utf-8")


class TypedConnection(Connection):
    """A connection whose errors are those of the app's connections to the master."""

    def read_response(self, *args: Any, **arguments: Any) -> Any:
        """Read a reply; errors come back typed."""
        try:
            return super().read_response(*args, **arguments)
        except Exception as error:
            raise translate(error, Endpoint(self.host, self.port)) from error

    def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send packed commands and return their replies, plain errors among them."""
        try:
            self.send_packed_command([packed])
            return [self._reply() for _ in range(count)]
        except BaseException:
            self.disconnect()
            raise

    def _reply(self) -> Any:
        try:
            return self.read_response()
        except ResponseError as error:
            return error


class Node:
    """One redis-server."""

    def __init__(self, server: Path, endpoint: Endpoint, directory: Path) -> None:
        directory.mkdir()
        command = [
            str(server),
            "--bind",
            endpoint.host,
            "--port",
            str(endpoint.port),
            "--dir",
            str(directory),
        ]
        # A replica of a few kilobytes is sent at once from the disk; diskless, it is acknowledged a second later.
        options = {
            "save": "",
            "appendonly": "no",
            "repl-diskless-sync": "no",
            "hz": "100",
            "loglevel": "warning",
        }
        for name, value in options.items():
            command += [f"--{name}", value]
        self.endpoint = endpoint
        self.shifted_s = 0.0
        self.process = subprocess.Popen(tied_to_this_process(command), stdout=subprocess.DEVNULL)
        pool = ConnectionPool(
            connection_class=TypedConnection,
            host=endpoint.host,
            port=endpoint.port,
            socket_timeout=20,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self.client = Redis(connection_pool=pool)
        assert wait_for(self._answers, 20)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def follow(self, other: tuple[str, int] | None) -> None:
        """Become a replica of another node, or a master."""
        self.client.execute_command("REPLICAOF", *(other or ("NO", "ONE")))


class RedisPair:
    """A context manager; `client` leads to the master of this moment."""

    def __init__(self, directory: Path) -> None:
        self._ports = PortReservation()
        server = find_redis_server(os.environ)
        self._nodes = [Node(server, self._ports.reserve(), directory / name) for name in ("a", "b")]
        self.shifted_s = 0.0
        self.is_cut = True
        self.is_full = False
        self.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            node.client.close()
            node.process.kill()
            node.process.wait()
        self._ports.release()

    @property
    def client(self) -> Redis:
        """Return the client of the master."""
        return self._nodes[0].client

    def run(self, operation: Callable[[Redis], Any]) -> Any:
        """Run an operation on the master, once; what it raises is for the caller to judge."""
        return operation(self.client)

    def start_over(self) -> None:
        """Forget all data, and make both healthy."""
        self.make_room()
        self.client.flushall()
        self.heal()

    def cut(self) -> None:
        """Have the replica miss what is written from now on."""
        if not self.is_cut:
            self._synchronise()
            self._nodes[1].follow(NOBODY)
            self.is_cut = True

    def heal(self) -> None:
        """Have the other node follow the master, and wait until it has everything."""
        if self.is_cut:
            self._nodes[1].follow(self._nodes[0].endpoint)
            self.is_cut = False
        self._synchronise()

    def _synchronise(self) -> None:
        """Wait until the other node has everything."""
        self.client.publish("synchronised", "")  # replicated, and allowed although Redis is full
        assert wait_for(lambda: self.client.execute_command("WAIT", 1, 200) == 1, 20)
        self._nodes[1].shifted_s = self._nodes[0].shifted_s

    def fail_over(self) -> None:
        """Make the other node the master, with whatever it has got; the old one does not follow it yet."""
        self.make_room()
        if not self.is_cut:
            self.heal()
        self._nodes.reverse()
        self._nodes[0].follow(None)
        self.is_cut = True
        self._shift()

    def pass_time(self, seconds: float) -> None:
        """Make all data so many seconds older."""
        self.shifted_s += seconds
        self._shift()

    def _shift(self) -> None:
        master = self._nodes[0]
        missed_s, master.shifted_s = self.shifted_s - master.shifted_s, self.shifted_s
        if missed_s:
            self.client.eval(SHIFT, 0, keyspace.RECORD_PREFIX, missed_s)

    def fill_up(self, *, known: bool) -> None:
        """Have the master reach its maxmemory; `known` is whether scripts that ask for room see it at once."""
        self.client.config_set("maxmemory", 1_000_000)
        self.is_full = True
        if known:
            self.client.delete(keyspace.ROOM)

    def make_room(self) -> None:
        """Lift the limit."""
        self.client.config_set("maxmemory", 0)
        self.client.delete(keyspace.ROOM)
        self.is_full = False
