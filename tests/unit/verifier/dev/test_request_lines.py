"""The log of `flask run` is about what somebody did."""

from __future__ import annotations

import logging

import pytest

from verifier.dev.request_lines import ByItself


@pytest.mark.parametrize(
    ("request_line", "status", "stays"),
    [
        ("GET /healthz HTTP/1.1", "200", False),
        ("GET /dev/mailbox.json?limit=1 HTTP/1.1", "200", False),
        ("GET /verify/5c86f2683f3073f86a7111b45a4f2ce8/delivery.json HTTP/1.1", "200", False),
        ("GET /static/verifier.css HTTP/1.1", "304", False),
        ("GET /static/nowhere.css HTTP/1.1", "404", True),
        ("GET /readyz HTTP/1.1", "503", True),
        ("GET / HTTP/1.1", "200", True),
        ("GET /verify/5c86f2683f3073f86a7111b45a4f2ce8 HTTP/1.1", "200", True),
        ("POST /verify HTTP/1.1", "303", True),
        ("POST /healthz HTTP/1.1", "200", True),
    ],
)
def test_what_nobody_did_by_hand_leaves_no_line(request_line: str, status: str, *, stays: bool) -> None:
    """Unless something went wrong with it; also where the server colours its lines."""
    for text in (f'"{request_line}" {status} -', f'"\x1b[36m{request_line}\x1b[0m" {status} -'):
        record = logging.LogRecord("werkzeug", logging.INFO, "", 0, "127.0.0.1 - - [now] %s", (text,), None)
        assert ByItself().filter(record) is stays
