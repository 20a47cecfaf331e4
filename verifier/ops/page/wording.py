"""Times and figures in few words, to be read from across a room; what may be somebody's address is masked."""

from __future__ import annotations

import re
import textwrap
from datetime import UTC, datetime

from verifier.domain.times import iso_time
from verifier.store.history import EventKind

MIB = 1024 * 1024
_LONGEST = 160
_KINDS = {
    EventKind.FAILOVER: "Failover",
    EventKind.SWITCHOVER: "Planned switchover",
    EventKind.SWITCHOVER_FAILED: "Switchover given up",
    EventKind.FAILOVER_ABORTED: "Failover without a result",
    EventKind.RESTART: "The master was restarted",
    EventKind.ROGUE: "Somebody led the master away",
    EventKind.REPAIR: "The master was repaired",
}
_ADDRESS = re.compile(r"[^\s<>@:;,()\"']+@[^\s<>@:;,()\"']+")


def span(seconds: float) -> str:
    """Return a duration: `0 s`, `42 s`, `7 min`, `3 h`, `2 d`."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size or (unit == "min" and whole >= size):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def ago(at: float, now: float) -> str:
    """Return how long ago a Unix time was."""
    return f"{span(now - at)} ago"


def clock_time(at: float) -> str:
    """Return a Unix time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def memory(used: int | None, limit: int | None) -> str:
    """Return how much memory is used of how much."""
    if used is None:
        return ""
    of = f" of {limit / MIB:.0f}" if limit else ""
    return f"{used / MIB:.1f}{of} MiB"


def amount(number: float) -> str:
    """Return a figure in at most four characters or so: `7`, `1,250`, `48 k`."""
    return f"{number:,.0f}" if number < 10_000 else f"{number / 1000:,.0f} k"


def kind(event: EventKind) -> str:
    """Return what happened to the master."""
    return _KINDS[event]


def iso(at: float) -> str:
    """Return a Unix time as programs read it."""
    return iso_time(at) or ""


def brief(text: str) -> str:
    """Return the first sentence of what somebody says, which is all that one reads from across a room."""
    first = re.split(r"[.;] |: Error ", text, maxsplit=1)[0].rstrip(". ")
    return textwrap.shorten(first, _LONGEST, placeholder=" ...")


def without_addresses(text: str) -> str:
    """Return a relay's words without the addresses that they quote: a wall is read by everybody who passes."""
    return _ADDRESS.sub("(address)", text)
