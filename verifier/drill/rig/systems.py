"""The systems under test: this project and its stock peers, the same for the drill and for the benchmarks."""

from __future__ import annotations

import os
import runpy
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
PEERS = Path(__file__).parent / "peers"
_NUMBERS = ("workers", "threads", "timeout", "graceful_timeout")


@dataclass(frozen=True)
class SystemUnderTest:
    """A service that accepts `POST /v1/verifications` and mails from workers."""

    name: str
    app: str
    """What gunicorn serves; it must answer `GET /healthz`."""
    worker: tuple[str, ...]
    """Its worker: a module and its arguments, as Python's `-m` takes them."""
    worker_says: str
    """What the worker's log holds once it takes jobs."""
    owing: tuple[tuple[str, str], ...]
    """Commands and keys whose numbers add up to what is still to be mailed."""
    is_peer: bool = True
    """A peer is Redis's superuser, since the users are cut to this project's measure; and it gets new processes
    and an empty Redis for each fault, since the last one may have left it stuck."""
    python: str = sys.executable
    settings: Mapping[str, str] = field(default_factory=dict)
    """More of its environment."""

    @property
    def queue(self) -> str:
        """The key of its queue, which is a list."""
        return next(key for command, key in self.owing if command == "LLEN")

    @property
    def import_path(self) -> str:
        """Where its modules are; a peer gets nothing else of this project."""
        return str(PEERS if self.is_peer else PROJECT)

    def command(self, *words: str) -> tuple[str, ...]:
        """Return the command that runs a module with its Python."""
        return self.python, "-m", *words

    def web_command(self, port: int) -> tuple[str, ...]:
        """Return the web's command: the deployment's own gunicorn settings, on this port of loopback.

        For a peer it is what these settings say of processes and time; the rest is about our own app.
        """
        config = PROJECT / "gunicorn.conf.py"
        settings = ["-c", str(config)] if not self.is_peer else _numbers_of(config)
        return self.command("gunicorn", *settings, "--bind", f"127.0.0.1:{port}", self.app)


def verifier() -> SystemUnderTest:
    """Return this project, with its default settings and a secret key of its own."""
    return SystemUnderTest(
        "verifier",
        app="wsgi:app",
        worker=("flask", "--app", str(PROJECT / "wsgi.py"), "worker"),
        worker_says="starts on queue",
        owing=(("ZCARD", "verifier:due"), ("LLEN", "rq:queue:verifier-mail")),
        is_peer=False,
        settings={
            "VERIFIER_SECRET_KEYS": f"drill:{secrets.token_hex(32)}",
            "VERIFIER_API_OPEN": "true",
            "VERIFIER_HOSTS": "127.0.0.1",
            # All the load comes from one client, so limits would be all that is measured.
            "VERIFIER_RATE_LIMITS_ENABLED": "false",
        },
    )


RQ = SystemUnderTest(
    "rq",
    app="rq_app:web",
    worker=("rq.cli", "worker", "-c", "rq_settings", "-w", "rq.SimpleWorker", "mail"),
    worker_says="Listening on",
    owing=(("LLEN", "rq:queue:mail"), ("ZCARD", "rq:wip:mail")),
)
CELERY = SystemUnderTest(
    "celery",
    app="celery_app:web",
    # A process a worker, as everybody else has.
    worker=("celery", "-A", "celery_app", "worker", "-c", "1", "--loglevel", "INFO"),
    worker_says=" ready.",
    owing=(("LLEN", "celery"), ("ZCARD", "unacked_index")),
)
DRAMATIQ = SystemUnderTest(
    "dramatiq",
    app="dramatiq_app:web",
    worker=("dramatiq", "dramatiq_app", "-p", "2", "-t", "8"),
    worker_says="ready for action",
    owing=(("LLEN", "dramatiq:default"),),
)


def _numbers_of(config: Path) -> list[str]:
    found = runpy.run_path(str(config))
    numbers = [f"--{name.replace('_', '-')}={found[name]}" for name in _NUMBERS]
    return ["--worker-class=gthread", "--no-control-socket", *numbers]


def bare_environment() -> dict[str, str]:
    """Return what any program needs, and nothing of the caller's settings, neither for us nor for a peer."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | {"PYTHONUNBUFFERED": "1"}
