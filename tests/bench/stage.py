"""Where all contestants run: one embedded Sentinel topology, emptied between them, and a room for logs."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from redis import Redis

from sentinel import LocalTopology, wait_for
from tests.bench.peers.surroundings import VARIABLE, Surroundings
from tests.bench.processes import BenchError, Child

PROJECT = Path(__file__).resolve().parents[2]
WSGI = str(PROJECT / "wsgi.py")
GUNICORN_CONFIG = str(PROJECT / "gunicorn.conf.py")


class Testbed:
    """What a contestant needs to know of its surroundings."""

    def __init__(
        self, topology: LocalTopology, room: Path, peers_python: Path | None, mail_bytes: int
    ) -> None:
        """The topology runs and has a superuser; `peers_python` is None where only we compete."""
        self.topology = topology
        self.room = room
        self.peers_python = peers_python
        self.mail_bytes = mail_bytes
        self._keys = f"bench:{secrets.token_hex(32)}"

    def admin(self) -> Redis:
        """Give a client that may do everything on the master, and has the patience for large answers."""
        assert self.topology.credentials is not None
        drill = self.topology.credentials.redis_drill
        host, port = self.topology.current_master().endpoint
        return Redis(
            host=host,
            port=port,
            username=drill.username,
            password=drill.password,
            socket_timeout=30,
            protocol=2,
        )

    def flush(self) -> None:
        """Forget everything of the contestant before, and wait until the replicas have too."""
        with self.admin() as client:
            client.flushall()
            client.execute_command("WAIT", len(self.topology.nodes) - 1, 5000)

    def ours(self, smtp_port: int, **settings: str) -> dict[str, str]:
        """Give the environment of our own processes."""
        return {
            **_bare_environment(),
            **self.topology.environment(),
            "VERIFIER_SECRET_KEYS": self._keys,
            "VERIFIER_MAIL_SERVER": "127.0.0.1",
            "VERIFIER_MAIL_PORT": str(smtp_port),
            "VERIFIER_MAX_OWED_MAILS": "1000000",
            **settings,
        }

    def peers(self, smtp_port: int) -> dict[str, str]:
        """Give the environment of a peer's processes, which use the topology as its superuser."""
        credentials = self.topology.credentials
        assert credentials is not None
        drill, sentinel_app = credentials.redis_drill, credentials.sentinel_app
        given = Surroundings(
            sentinels=[(endpoint.host, endpoint.port) for endpoint in self.topology.sentinels],
            master_name=self.topology.master_name,
            username=drill.username,
            password=drill.password,
            sentinel_username=sentinel_app.username,
            sentinel_password=sentinel_app.password,
            smtp_port=smtp_port,
            mail_bytes=self.mail_bytes,
        )
        return {**_bare_environment(), VARIABLE: json.dumps(asdict(given))}

    def our_command(self, *words: str) -> list[str]:
        """Give the command of one of our `flask` commands."""
        return [sys.executable, "-m", "flask", "--app", WSGI, *words]

    def our_module(self, *words: str) -> list[str]:
        """Give the command that runs a module of the bench."""
        return [sys.executable, "-m", *words]

    def peer_command(self, *words: str) -> list[str]:
        """Give the command that runs a module in the peers' virtualenv."""
        if self.peers_python is None:
            raise BenchError("There is no virtualenv with the peers: see requirements-bench.in.")
        return [str(self.peers_python), "-m", *words]

    def child(
        self, name: str, command: list[str], environment: dict[str, str]
    ) -> AbstractContextManager[Child]:
        """Give a process to be entered."""
        return Child(name, command, environment, self.room)


def redis_info(client: Redis) -> dict[str, Any]:
    """Give everything INFO says."""
    info: Any = client.info("everything")
    return dict(info)


def require(condition: Callable[[], bool], timeout_s: float, complaint: str) -> None:
    """Wait for a condition. Raises BenchError with the complaint."""
    if not wait_for(condition, timeout_s):
        raise BenchError(complaint)


def say(sentence: str) -> None:
    """Tell whoever waits how it goes."""
    print(f"  {sentence}", file=sys.stderr, flush=True)


def _bare_environment() -> dict[str, str]:
    """Nothing of the caller's settings: neither ours nor the peers' may leak in."""
    names = ("PATH", "HOME", "LANG", "TMPDIR")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
