"""Mails in the last minute."""

from __future__ import annotations

from workers.settler import Throughput


def test_only_the_last_minute_counts() -> None:
    """Looked at each two seconds, as the maintenance thread does."""
    now, total = 0.0, 5
    throughput = Throughput(lambda: total, lambda: now)
    assert throughput.last_minute() == 0
    for _ in range(100):
        now += 2.0
        total += 3
        told = throughput.last_minute()
    assert told == 90
    now += 61.0
    assert throughput.last_minute() == 0


def test_a_worker_that_was_not_looked_at_for_long_tells_what_it_knows() -> None:
    """Not more than it has sent since it was looked at last."""
    now, total = 0.0, 0
    throughput = Throughput(lambda: total, lambda: now)
    now, total = 3600.0, 40
    assert throughput.last_minute() == 40
