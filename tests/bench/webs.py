"""The web side of the contestants: ours and a bare Flask view that enqueues, under the same gunicorn settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sentinel import PortReservation
from tests.bench.processes import Child
from tests.bench.sinks import wait_until_listening
from tests.bench.stage import GUNICORN_CONFIG, Testbed

OURS, BARE = "Verifier", "bare Flask view with Queue.enqueue"


@contextmanager
def web(testbed: Testbed, whose: str, smtp_port: int) -> Iterator[int]:
    """Run it and give its port."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    options = ("-c", GUNICORN_CONFIG, "--bind", f"127.0.0.1:{port}")
    if whose == OURS:
        command = testbed.our_module("gunicorn", *options, "--chdir", str(testbed.room), "wsgi:app")
        environment = testbed.ours(smtp_port)
    else:
        command = testbed.peer_command("gunicorn", *options, "tests.bench.peers.web:app")
        environment = testbed.peers(smtp_port)
    with Child("web", command, environment, testbed.room) as child:
        wait_until_listening(port, child)
        yield port
