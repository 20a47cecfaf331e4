"""Dramatiq on redis-py's Sentinel client, with its defaults."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.bench.peers import jobs, surroundings

dramatiq.set_broker(RedisBroker(client=surroundings.redis_client(jobs.GIVEN)))


@dramatiq.actor
def send(address: str) -> None:
    """Send the mail."""
    jobs.send(address)
