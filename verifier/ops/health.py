"""Health: is this process alive, and is mail going out.

`/healthz` says that the process answers, and asks nobody: a process must not be restarted because Redis
is away. `/readyz` turns red (503) when Redis can't be reached or when the oldest mail that is due has
waited for too long, which is what people notice first.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify
from redis import Redis

from sentinel import TRANSIENT, PermanentError
from verifier.container import current_container
from verifier.store import keyspace

blueprint = Blueprint("health", __name__)

OVERDUE_LIMIT_S = 30.0
_LOOK_FOR_S = 2.0


@blueprint.get("/healthz")
def alive() -> Response:
    """Return that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Return whether mail goes out: 200, or 503 with the reason."""
    try:
        overdue_s = current_container().link.run(_overdue_s, deadline_s=_LOOK_FOR_S)
    except (*TRANSIENT, PermanentError):
        return jsonify(status="failing", reason="Redis can't be reached through Sentinel."), 503
    if overdue_s > OVERDUE_LIMIT_S:
        reason = f"The oldest mail that is due has waited for {overdue_s:.0f} s: is a worker running?"
        return jsonify(status="failing", reason=reason, oldest_due_s=round(overdue_s, 1)), 503
    return jsonify(status="ok", oldest_due_s=round(overdue_s, 1)), 200


def _overdue_s(client: Redis) -> float:
    """Return how long the mail that has waited longest is overdue, in seconds.

    A mail may wait for somebody to look after it (its due time has passed), or behind others in the queue.
    """
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zrange(keyspace.DUE, 0, 0, withscores=True)
        pipeline.lindex(keyspace.QUEUE, 0)
        oldest, head = pipeline.execute()
    waits = [time.time() - float(oldest[0][1])] if oldest else []
    if head is not None:
        verification_id = head.decode(errors="replace").partition("-")[0]
        queued_at: Any = client.hget(keyspace.record_key(verification_id), "queued_at")
        waits += [time.time() - float(queued_at)] if queued_at else []
    return max([0.0, *waits])
