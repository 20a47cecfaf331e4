"""What the service owes people in a fault; `verdicts` holds an outcome against it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """What the service owes people in spite of a fault, beyond losing nothing and never exiting."""

    accepts_all: bool = True
    """False: what can't be accepted within the deadline is refused with a 503 and Retry-After."""
    may_cut_off: bool = False
    """Whether requests in flight may be reset."""
    may_repeat: bool = False
    """Whether a mail may go out twice, with the same Message-ID and code."""
    repeats_late: bool = True
    """Whether it may do so even after the fault's end."""
    checks_all: bool = True
    """False: right codes, too, may be refused with a 503. They are never taken for wrong."""
    switches: bool = False
    """Whether another node becomes the master."""
    costs_nothing: bool = False
    """Whether the outage must cost next to no CPU, memory, connections and log."""
    alarm_within_s: float | None = None
    """How soon a log line warns an operator."""
    mails_within_s: float | None = None
    """How soon each mail goes out after the yes."""
