"""Times as programs exchange them, and as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from verifier.domain.words import Words, counted


def iso_time(time_s: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond; None for None."""
    if time_s is None:
        return None
    return f"{datetime.fromtimestamp(time_s, UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def span_in_words(seconds: float) -> Words:
    """Return how long it takes, never less, in a unit that people wait in: `40 seconds`, `2 minutes`, `3 hours`."""
    if (number := _at_least(seconds, 1)) <= 90:
        return counted("%(count)s second", "%(count)s seconds", number)
    if (number := _at_least(seconds, 60)) <= 90:
        return counted("%(count)s minute", "%(count)s minutes", number)
    return counted("%(count)s hour", "%(count)s hours", _at_least(seconds, 3600))


def _at_least(seconds: float, unit_s: float) -> int:
    return max(1, math.ceil(seconds / unit_s))
