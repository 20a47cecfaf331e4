"""gunicorn.conf.py, with a socket in place of a service: whose socket a stop may shut down."""

from __future__ import annotations

import runpy
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

SETTINGS = Path(__file__).resolve().parents[2] / "gunicorn.conf.py"


@pytest.mark.parametrize(
    ("successor", "predecessor", "systemd", "refuses"),
    [(0, 0, False, True), (7, 0, False, False), (0, 7, False, False), (0, 0, True, False)],
    ids=["alone", "replaced by another", "beside the one it replaces", "systemd's own socket"],
)
def test_a_stop_shuts_down_only_a_socket_of_its_own(
    successor: int, predecessor: int, systemd: bool, refuses: bool
) -> None:
    """After USR2 two gunicorns have the same one, and shutting it down would take it from both."""
    stopped: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = SimpleNamespace(
            LISTENERS=[SimpleNamespace(sock=listening)],
            reexec_pid=successor,
            master_pid=predecessor,
            systemd=systemd,
            reload=None,
            stop=stopped.append,
            log=None,
        )
        runpy.run_path(str(SETTINGS))["when_ready"](server)
        server.stop(True)
        assert stopped == [True]
        with socket.socket() as visitor:
            assert bool(visitor.connect_ex(listening.getsockname())) is refuses
