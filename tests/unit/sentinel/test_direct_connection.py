"""What is said of a process that can't be talked to."""

from __future__ import annotations

import socket
import threading

import pytest
import redis

from sentinel.access import Login
from sentinel.direct_connection import direct_connection
from sentinel.endpoints import Endpoint


def _ask(port: int) -> None:
    connection = direct_connection(Endpoint("127.0.0.1", port), Login(), None, 2.0)
    connection.send_command("PING")
    connection.read_response()


def _said(port: int) -> str:
    with pytest.raises(redis.ConnectionError) as raised:
        _ask(port)
    return str(raised.value)


def test_where_nobody_listens_tls_is_not_guessed_at() -> None:
    """It is dead, and starting it helps."""
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    said = _said(port)
    assert "Connection refused" in said
    assert "TLS" not in said


def test_whoever_hangs_up_without_a_word_may_want_tls() -> None:
    """As a server with TLS does to a client without."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert "perhaps it speaks only TLS" in _said(server.getsockname()[1])
