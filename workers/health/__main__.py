"""`python -m workers.health`: whether the workers of this container or service are well, for its health check.

Well is a worker whose threads move and whose heartbeat Redis took lately, or that waits for Redis: nothing that a
restart would mend. It needs nothing but Python and is quick. Whether mails go out is another question, which /readyz
answers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from workers.health.pulse import STALE_AFTER_S, Pulse, own_directory, pulses_in


def complaints(pulses: Iterable[Pulse], now: float) -> list[str]:
    """Return a sentence for each worker that is not well, or one that there is none; `now` is of CLOCK_MONOTONIC."""
    known = list(pulses)
    if not known:
        return ["No worker runs here, or it cannot write its pulse: read its log."]
    return [sentence for each in known for sentence in _complaints_of(each, now)]


def _complaints_of(pulse: Pulse, now: float) -> list[str]:
    still_s = now - min(pulse.claiming_at, pulse.maintaining_at)
    if still_s > STALE_AFTER_S:
        return [f"The worker with pid {pulse.pid} has not moved for {still_s:.0f} s: restart it."]
    unheard_s = now - pulse.heard_at
    if unheard_s > STALE_AFTER_S and not pulse.waiting:
        return [
            f"The worker with pid {pulse.pid} has sent Redis no heartbeat for {unheard_s:.0f} s: read its log."
        ]
    return []


def main() -> int:
    """Print what is wrong; return 1 where something is, as Docker wants it."""
    try:
        found = complaints(pulses_in(own_directory()), time.monotonic())
    except (OSError, ValueError, TypeError) as error:
        found = [f"The workers' pulse cannot be read: {error}"]
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
