"""When to retry a delivery, knowing how long its code lives.

Pure. A deferred mail is tried again about 5, 20, 50, 110, 230 s after it was first queued, the gaps
doubling up to four minutes, each moved by jitter so that mails deferred together do not come back
together. No try starts while the code has less than `least_life_s` left: a dead code is never mailed.
All times are seconds of one clock, the caller's.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_GAP_S = 5.0
SECOND_GAP_S = 15.0
LONGEST_GAP_S = 240.0
JITTER = 0.2  # a gap is moved by up to this share, both ways


def has_life(now: float, expires_at: float, least_life_s: float) -> bool:
    """Return whether a mail that leaves at `now` still leaves the person `least_life_s` to use the code."""
    return expires_at - now >= least_life_s


def next_try(
    tries_so_far: int,
    now: float,
    first_queued_at: float,
    expires_at: float,
    *,
    least_life_s: float,
    jitter: Callable[[], float] = random.random,
) -> float | None:
    """Return the time of the next try, or None: give up, the code would be (nearly) dead on arrival.

    `tries_so_far` counts the tries made. `jitter` returns a number from 0 up to 1.

    Raises:
        ValueError: no try was made yet; the first one is due at once and needs no backoff.
    """
    if tries_so_far < 1:
        raise ValueError("next_try is asked after a try; the first one needs no backoff")
    gap = gap_s(tries_so_far)
    # A try that took long, or a worker that was away, must not make the next one come at once.
    planned = max(first_queued_at + _offset_s(tries_so_far), now + gap / 2)
    due = max(now, planned + gap * JITTER * (2 * jitter() - 1))
    return due if has_life(due, expires_at, least_life_s) else None


def gap_s(tries_so_far: int) -> float:
    """Return the seconds between this try and the next one, before jitter."""
    if tries_so_far == 1:
        return FIRST_GAP_S
    doublings = min(tries_so_far - 2, 30)  # far beyond the longest gap; keeps the number finite
    return min(LONGEST_GAP_S, SECOND_GAP_S * 2.0**doublings)


def _offset_s(tries_so_far: int) -> float:
    """Return the seconds from the first try to the one after `tries_so_far`."""
    return sum(gap_s(tries) for tries in range(1, tries_so_far + 1))
