"""Stock RQ: `Queue.enqueue` behind a Flask app; its worker is RQ's own command with `rq_settings`."""

from __future__ import annotations

import peer_settings
from rq import Queue
from web import make_web

queue = Queue(peer_settings.QUEUE, connection=peer_settings.redis_client())
web = make_web(lambda address: queue.enqueue("jobs.send", address).id)
