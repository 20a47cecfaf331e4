"""How much time a request has left: set once where it comes in, spent by whatever it waits for.

The deadline belongs to the context (https://docs.python.org/3/library/contextvars.html), so it needs no argument on
the way down: attempts on the master, the hold of writes, questions to the sentinels and each socket look here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("request_ends_at", default=None)


@contextmanager
def request_deadline(duration_s: float) -> Iterator[None]:
    """Bound everything inside to `duration_s` seconds from now; within another deadline the earlier one counts."""
    ends_at, outer = time.monotonic() + duration_s, _ends_at.get()
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining_s() -> float | None:
    """Return how many seconds the request has left, not below 0; None where there is no deadline."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def bounded_s(limit_s: float) -> float:
    """Return `limit_s`, or what the request has left where that is less."""
    left_s = remaining_s()
    return limit_s if left_s is None else min(limit_s, left_s)
