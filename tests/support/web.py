"""The web app as a deployment runs it: gunicorn with our settings, in a process of its own."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sentinel import LocalTopology, PortReservation, wait_for
from verifier.domain.keys import new_secret
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import bare_environment, verifier

START_WITHIN_S = 60
KEYS = f"k1:{new_secret()}"


class Web(RigProcess):
    """gunicorn on a free port of loopback, with its settings in an environment and a `.env` file of its directory."""

    def __init__(self, topology: LocalTopology, directory: Path, **more: str) -> None:
        ports = PortReservation()
        self.port = ports.reserve().port
        ports.release()
        system = verifier()
        self.dotenv = directory / ".env"
        settings = {
            **bare_environment(),
            "PYTHONPATH": system.import_path,
            **topology.environment(),
            "VERIFIER_SECRET_KEYS": KEYS,
            "VERIFIER_API_OPEN": "true",
            # One machine is all the visitors.
            "VERIFIER_RATE_LIMITS_ENABLED": "false",
            **more,
        }
        super().__init__("web", system.web_command(self.port), settings, directory)

    def answers(self) -> bool:
        """Return whether it answers a request."""
        with suppress(OSError, http.client.HTTPException):
            return self.get("/healthz").status == 200
        return False

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
        """Return the answer to a GET, read to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()

    def wait_until_it_answers(self) -> None:
        """Wait until both of its processes serve."""
        assert wait_for(self._serves_or_has_ended, START_WITHIN_S), self.output()
        assert self.exit_code is None, self.output()

    def all_serve(self) -> bool:
        """Return whether it has both of its processes, and each says that it serves."""
        told, children = self.log.read_text(errors="replace"), self.children()
        return len(children) == 2 and all(f"Worker process {pid} serves." in told for pid in children)

    def forget_output(self) -> None:
        """Begin `output` anew from here."""
        self._log_starts_at = self.log.stat().st_size

    def _serves_or_has_ended(self) -> bool:
        return self.exit_code is not None or (self.output().count(" serves.") >= 2 and self.answers())
