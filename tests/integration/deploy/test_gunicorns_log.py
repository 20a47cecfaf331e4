"""What gunicorn logs with the project's own settings: of strangers a line a minute, of callers their names if wanted."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sentinel import LocalTopology, PortReservation, wait_for
from verifier.domain.api_keys import entry_of
from verifier.domain.keys import new_secret

ROOT = Path(__file__).parents[3]
# The same in every process of the tests.
KEY = f"verifier_{'k' * 43}"
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


@contextmanager
def _gunicorn(topology: LocalTopology, tmp_path: Path, *options: str) -> Iterator[tuple[int, Path]]:
    """Run a gunicorn with the project's own settings and one worker; its port and its log."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    log = tmp_path / "gunicorn.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")},
        **topology.environment(),
        "VERIFIER_SECRET_KEYS": f"test:{new_secret()}",
        "VERIFIER_HOSTS": "verify.example.org",
        "VERIFIER_API_KEYS": entry_of("shop.example", KEY),
        "PYTHONUNBUFFERED": "1",
    }
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        "1",
        "--bind",
        f"127.0.0.1:{port}",
        *options,
        "wsgi:app",
    ]
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


@pytest.fixture
def port_and_log(topology: LocalTopology, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A gunicorn as it is deployed."""
    with _gunicorn(topology, tmp_path) as running:
        yield running


def test_the_access_log_names_who_called(topology: LocalTopology, tmp_path: Path) -> None:
    """By the name of the API key; never the key."""
    with _gunicorn(topology, tmp_path, "--access-logfile", "-") as (port, log):
        url = f"/v1/verifications/{'0' * 32}"
        for more in (f"Authorization: Bearer {KEY}\r\n", ""):
            _answer(port, f"GET {url} HTTP/1.1\r\n{HEAD}{more}\r\n")
        assert wait_for(lambda: sum(url in line for line in log.read_text().splitlines()) == 2, 30)
        named, nameless = (line for line in log.read_text().splitlines() if url in line)
    told = [json.loads(line) for line in (named, nameless)]
    assert [(each["caller"], each["status"], each["method"]) for each in told] == [
        ("shop.example", 404, "GET"),
        ("-", 401, "GET"),
    ]
    assert all(each["path"] == url and len(each["request_id"]) == 32 for each in told)
    assert KEY not in log.read_text()


def test_nobody_writes_lines_of_their_own_into_the_access_log(
    topology: LocalTopology, tmp_path: Path
) -> None:
    """A path may hold line breaks and commands for a terminal; both are told by their codes."""
    with _gunicorn(topology, tmp_path, "--access-logfile", "-") as (port, log):
        for odd in ("%0d%0a", "%0a", "%0b", "%c2%85", "%1b[2J"):
            _answer(port, f"GET /a{odd}forged HTTP/1.1\r\n{HEAD}\r\n")
        assert wait_for(lambda: sum("forged" in line for line in log.read_text().splitlines()) == 5, 30)
        text = log.read_bytes().decode()
    assert [line for line in text.splitlines() if line.startswith("forged")] == []
    assert "GET /a\\\\x0d\\\\x0aforged 404" in text
    assert "\x1b" not in text


def test_nonsense_leaves_one_line(port_and_log: tuple[int, Path]) -> None:
    """With nothing in it that was sent."""
    port, log = port_and_log
    before = len(log.read_text().splitlines())
    for _ in range(3):
        for request in NONSENSE.values():
            status = re.match(r"HTTP/1\.1 (\d+)", _answer(port, request))
            assert status is None or 400 <= int(status[1]) < 500
    lines = log.read_text().splitlines()[before:]
    told = [json.loads(line) for line in lines]
    assert [(each["logger"], re.sub(r"with .*", "", each["message"])) for each in told] == [
        ("verifier.requests", "A request was refused ")
    ]
