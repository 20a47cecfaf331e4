"""Times as programs exchange them, and as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def iso_time(time_s: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond; None for None."""
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span_in_words(seconds: float) -> str:
    """Return how long it takes, never less, in a unit that people wait in: `40 seconds`, `2 minutes`, `3 hours`."""
    for unit, length in (("second", 1), ("minute", 60), ("hour", 3600)):
        number = max(1, math.ceil(seconds / length))
        if number <= 90 or unit == "hour":
            break
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
