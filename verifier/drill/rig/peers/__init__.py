"""The stock peers, for comparison: the least code that does the same work with RQ or Celery as they come.

Each is a bare Flask app that queues a job per request, and the project's own worker command. They read the
environment the drill gives to everybody: where the sentinels are, who may log in, where mails go.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

import click

from verifier.drill.rig.systems import SystemUnderTest

CELERY_IS_MISSING = "Celery is not installed, so it is left out: `pip install celery` brings it."


def find_peer(name: str) -> SystemUnderTest | None:
    """Give a peer by its name; None where it is not installed, which is said.

    Raises:
        click.BadParameter: there is no such peer.
    """
    if name not in _PEERS:
        raise click.BadParameter(f"{name} is none of {', '.join(_PEERS)}", param_hint="--peers")
    if importlib.util.find_spec(name) is None:
        click.echo(CELERY_IS_MISSING)
        return None
    return _PEERS[name]()


def _rq() -> SystemUnderTest:
    return SystemUnderTest(
        "rq",
        app="verifier.drill.rig.peers.rq_app:app",
        worker=(sys.executable, "-m", "verifier.drill.rig.peers.rq_app"),
        worker_says="Listening on",
        owing=(("LLEN", "rq:queue:mail"), ("ZCARD", "rq:wip:mail")),
        superuser=True,
        starts_afresh=True,
    )


def _celery() -> SystemUnderTest:
    return SystemUnderTest(
        "celery",
        app="verifier.drill.rig.peers.celery_app:app",
        # A process a worker, as everybody else has.
        worker=(
            *(sys.executable, "-m", "celery", "-A", "verifier.drill.rig.peers.celery_app:celery", "worker"),
            *("-c", "1", "--loglevel", "INFO"),
        ),
        worker_says=" ready.",
        owing=(("LLEN", "celery"), ("ZCARD", "unacked_index")),
        superuser=True,
        starts_afresh=True,
    )


_PEERS: dict[str, Callable[[], SystemUnderTest]] = {"rq": _rq, "celery": _celery}
