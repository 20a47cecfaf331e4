"""Who is drilled: how its web and its workers are started, and how one knows that they work."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class SystemUnderTest:
    """A service that accepts `POST /v1/verifications` and mails from workers."""

    name: str
    app: str
    """What gunicorn serves; it must answer `GET /healthz`."""
    worker: tuple[str, ...]
    """The worker's command."""
    worker_says: str
    """What its log holds once it takes jobs."""
    owing: tuple[tuple[str, str], ...]
    """Commands and keys whose numbers add up to what is still to be mailed."""
    superuser: bool = False
    """Whether it may do everything in Redis; the topology's users are cut to this project's measure."""
    starts_afresh: bool = False
    """Whether each round gets new processes and an empty Redis, since the last one may have left it stuck."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """More of its environment."""

    @property
    def queue(self) -> str:
        """The key of its queue, which is a list."""
        return next(key for command, key in self.owing if command == "LLEN")

    def web(self, port: int) -> tuple[str, ...]:
        """Give the web's command: the deployment's own gunicorn settings, on this port of loopback."""
        config = str(PROJECT / "gunicorn.conf.py")
        return sys.executable, "-m", "gunicorn", "-c", config, "--bind", f"127.0.0.1:{port}", self.app


def verifier() -> SystemUnderTest:
    """Give this project, with its default settings."""
    return SystemUnderTest(
        "verifier",
        app="wsgi:app",
        worker=(sys.executable, "-m", "flask", "--app", str(PROJECT / "wsgi.py"), "worker"),
        worker_says="starts on queue",
        owing=(("ZCARD", "verifier:due"), ("LLEN", "rq:queue:mail")),
        settings={"VERIFIER_SECRET_KEYS": f"drill:{secrets.token_hex(32)}"},
    )
