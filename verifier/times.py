"""Times as programs read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(time_s: float | None) -> str | None:
    """Return a Unix time in ISO 8601, in UTC and with milliseconds; None for None."""
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
