"""The web side of the contestants: ours and a bare Flask view that enqueues, under the same gunicorn settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sentinel.local_ports import PortReservation
from tests.bench.processes import Child
from tests.bench.sinks import wait_until_listening
from tests.bench.stage import GUNICORN_CONFIG, Stage

OURS, BARE = "Verifier", "bare Flask view with Queue.enqueue"


@contextmanager
def web(stage: Stage, whose: str, smtp_port: int) -> Iterator[int]:
    """Run it and give its port."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    options = ("-c", GUNICORN_CONFIG, "--bind", f"127.0.0.1:{port}")
    if whose == OURS:
        command = stage.our_module("gunicorn", *options, "--chdir", str(stage.room), "wsgi:app")
        environment = stage.ours(smtp_port)
    else:
        command = stage.peer_command("gunicorn", *options, "tests.bench.peers.web:app")
        environment = stage.peers(smtp_port)
    with Child("web", command, environment, stage.room) as child:
        wait_until_listening(port, child)
        yield port
