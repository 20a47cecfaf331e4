"""The proxy of a deployment on loopback: the shipped start script and nginx.conf, in front of a gunicorn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sentinel import PortReservation, is_listening, parse_endpoint, wait_for
from verifier.drill.rig.process import RigProcess
from verifier.drill.rig.systems import PROJECT, bare_environment

START_PROXY = PROJECT / "deploy" / "proxy" / "start-proxy.sh"

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin") is None,
    reason="there is no nginx here: apt-get install nginx",
)


class Proxy(RigProcess):
    """nginx as it is shipped, on a free port of loopback; more of its settings as keywords."""

    def __init__(self, upstream_port: int, directory: Path, **more: str) -> None:
        ports = PortReservation()
        self.port, self.redirect_port = ports.reserve().port, ports.reserve().port
        ports.release()
        environment = bare_environment()
        environment |= {
            "PATH": f"{environment.get('PATH', '')}:/usr/sbin:/sbin",
            "PROXY_LISTEN": f"127.0.0.1:{self.port}",
            "PROXY_REDIRECT_LISTEN": f"127.0.0.1:{self.redirect_port}",
            "PROXY_UPSTREAM": f"127.0.0.1:{upstream_port}",
            "PROXY_SCRATCH": str(directory / "proxy"),
            "PROXY_CERTIFICATE": str(directory / "fullchain.pem"),
            "PROXY_CERTIFICATE_KEY": str(directory / "privkey.pem"),
            **more,
        }
        self.environment = environment
        super().__init__("proxy", ["/bin/sh", str(START_PROXY)], environment, directory)

    def wait_until_it_listens(self) -> None:
        """Wait until connections are accepted."""
        endpoint = parse_endpoint(f"127.0.0.1:{self.port}", 0)
        assert wait_for(lambda: is_listening(endpoint) or self.exit_code is not None, 60), self.output()
        assert self.exit_code is None, self.output()
