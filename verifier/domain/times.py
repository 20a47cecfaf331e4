"""Times as programs exchange them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_time(time_s: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond; None for None."""
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
