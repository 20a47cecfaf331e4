"""Dramatiq on redis-py's Sentinel client, with its defaults."""

from __future__ import annotations

import dramatiq
import jobs
import peer_settings
from dramatiq.brokers.redis import RedisBroker
from web import make_web

dramatiq.set_broker(RedisBroker(client=peer_settings.redis_client()))
send = dramatiq.actor(jobs.send)
web = make_web(lambda address: str(send.send(address).message_id))
