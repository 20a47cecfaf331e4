"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from sentinel.endpoints import Endpoint


def wait_for(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.02) -> bool:
    """Ask every `interval_s` seconds; return whether the condition held before `timeout_s` seconds were over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_s)
    return True


def is_listening(endpoint: Endpoint) -> bool:
    """Return whether something accepts connections there, within half a second."""
    try:
        socket.create_connection(endpoint, timeout=0.5).close()
    except OSError:
        return False
    return True
