"""What anybody can send without a name leaves a line a minute in the log, whatever and however much it is."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel import LocalTopology, PortReservation, wait_for
from verifier.domain.keys import new_secret

ROOT = Path(__file__).parents[3]
HEAD = "Host: verify.example.org\r\nConnection: close\r\n"
NONSENSE = {
    "no HTTP": "\x16\x03\x01 rubbish\r\n\r\n",
    "a forged line": "GET / HTTP/1.1\r\nHost: x\r\n2026-01-01T00:00:00Z ERROR forged\r\n\r\n",
    "a huge header": f"GET / HTTP/1.1\r\n{HEAD}X: {'x' * 20_000}\r\n\r\n",
    "another host": "GET /verify HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    "a path": f"GET /wp-login.php HTTP/1.1\r\n{HEAD}\r\n",
    "a method": f"DELETE /verify HTTP/1.1\r\n{HEAD}\r\n",
    "no key": f"POST /v1/verifications HTTP/1.1\r\n{HEAD}Content-Length: 0\r\n\r\n",
    "a form without its token": f"POST /verify HTTP/1.1\r\n{HEAD}Content-Length: 0\r\n\r\n",
}


@pytest.fixture
def port_and_log(topology: LocalTopology, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A gunicorn with the project's own settings and one worker."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    log = tmp_path / "gunicorn.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")},
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": f"test:{new_secret()}",
        "VERIFIER_HOSTS": "verify.example.org",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        assert wait_for(
            lambda: _answer(port, f"GET /healthz HTTP/1.1\r\n{HEAD}\r\n").startswith("HTTP/1.1 200"), 60
        )
        yield port, log
    finally:
        process.terminate()
        process.wait(60)


def _answer(port: int, request: str) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(request.encode("latin-1"))
            return connection.makefile("rb").read().decode("latin-1")
    except ConnectionError:  # it hung up on a request that was not sent whole yet
        return ""


def test_nonsense_leaves_one_line(port_and_log: tuple[int, Path]) -> None:
    """With nothing in it that was sent."""
    port, log = port_and_log
    before = len(log.read_text().splitlines())
    for _ in range(10):
        for request in NONSENSE.values():
            status = re.match(r"HTTP/1\.1 (\d+)", _answer(port, request))
            assert status is None or 400 <= int(status[1]) < 500
    lines = log.read_text().splitlines()[before:]
    assert [re.sub(r"with .*", "", line.partition("INFO ")[2]) for line in lines] == [
        "verifier.requests: A request was refused "
    ]
