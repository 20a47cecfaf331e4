"""Whether this web process is being stopped: a flag, which gunicorn's worker sets (gunicorn.conf.py)."""

from __future__ import annotations

import threading

_stopping = threading.Event()


def note_stopping() -> None:
    """Note that this process takes its last requests."""
    _stopping.set()


def is_stopping() -> bool:
    """Return whether it does."""
    return _stopping.is_set()
