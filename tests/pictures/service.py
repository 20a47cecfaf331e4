"""The service of `flask run` as anybody starts it, with the operators' page, and people who use it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil

from sentinel import PortReservation, wait_for
from tests.bench.sinks import wait_until_listening
from verifier.drill.rig.process import RigError, RigProcess
from verifier.drill.rig.systems import PROJECT, bare_environment

# Of a service that ends with the pictures.
PASSWORD = "9vX-hb3Kq_Zt7wLr"
MAIL_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Service:
    """One that runs."""

    address: str
    pid: int

    def post(self, path: str, body: dict[str, str]) -> dict[str, object]:
        """Ask the API; return its answer. Raises HTTPError where it refuses."""
        head = {"Content-Type": "application/json"}
        asked = Request(f"{self.address}/v1/verifications{path}", json.dumps(body).encode(), head)  # noqa: S310 - our own
        with urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own
            found: dict[str, object] = json.load(answer)
        return found

    def code_for(self, to: str) -> str:
        """Wait for a mail to somebody; return its code. Raises RigError."""
        codes: list[str] = []
        url = f"{self.address}/dev/mailbox.json?{urlencode({'to': to, 'limit': 1})}"

        def came() -> bool:
            with urlopen(url, timeout=60) as answer:  # noqa: S310 - our own
                codes.extend(mail["code"] for mail in json.load(answer))
            return bool(codes)

        if not wait_for(came, MAIL_TIMEOUT_S):
            raise RigError(f"No mail to {to} came.")
        return codes[0]

    def verify(self, to: str, locale: str = "en") -> None:
        """Go all the way for somebody, through the API; the mail is in the language of `locale`."""
        started = self.post("", {"to": to, "locale": locale})
        self.post(f"/{started['id']}/check", {"code": self.code_for(to)})

    def verify_for(self, how_long_s: float, pause_s: float = 0.2) -> None:
        """Let people come one after the other for a while."""
        until = time.monotonic() + how_long_s
        number = 0
        while time.monotonic() < until:
            self.verify(f"person{number}@example.org")
            number += 1
            time.sleep(pause_s)  # between two people

    def kill_node(self, port: int) -> None:
        """Kill the Redis node at a port, one of the processes that this service started. Raises RigError."""
        for child in psutil.Process(self.pid).children(recursive=True):
            listening = {each.laddr.port for each in child.net_connections("tcp") if each.status == "LISTEN"}
            if port in listening:
                child.kill()
                return
        raise RigError(f"No process of the service listens at the port {port}.")


@contextmanager
def running_service() -> Iterator[Service]:
    """Start it on a free port, stop it at the end. Raises RigError where it does not start."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    with tempfile.TemporaryDirectory(prefix="verifier-pictures-") as name:
        environment = {
            **bare_environment(),
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": name,
            "VERIFIER_NAME": "Example",
            "VERIFIER_OPS_PASSWORD": PASSWORD,
            # All comes from one client.
            "VERIFIER_RATE_LIMITS_ENABLED": "false",
        }
        command = [
            sys.executable,
            "-m",
            "flask",
            "--app",
            str(PROJECT / "wsgi.py"),
            "run",
            "--port",
            str(port),
        ]
        with RigProcess("flask-run", command, environment, Path(name)) as process:
            wait_until_listening(port, process)
            yield Service(f"http://127.0.0.1:{port}", process.pid)
