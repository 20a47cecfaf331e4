"""Logins at the operators' page: how often somebody may try, and which sessions were ended before their time."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

from verifier.store import keyspace
from verifier.store.limits import Counter, arguments_of, limit_reached
from verifier.store.scripts import Step, load_script, run_steps

_KEPT_S = 86400
LOGIN = load_script("login", "clock", "records", "full", "limits")


def count_login(client: Redis, counter: Counter) -> None:
    """Count a try, right or wrong.

    Raises:
        LimitReached: there were too many from this network; nothing was counted.
        TransientError, PermanentError, Backpressure: Redis does not let us count.
    """
    _, *arguments = arguments_of([counter])
    what, *limit = run_steps(client, [Step(LOGIN, [keyspace.DUE], arguments)], None)[0]
    if what == b"limited":
        raise limit_reached([counter], *limit)


def end_session(client: Redis, session_id: str, ends_at: float) -> None:
    """Have a session refused until `ends_at`, when it would have ended by itself. Raises as `count_login` does."""
    now = time.time()
    with client.pipeline() as pipeline:
        pipeline.zremrangebyscore(keyspace.OPS_ENDED, "-inf", now)
        pipeline.zadd(keyspace.OPS_ENDED, {session_id: ends_at})
        # All live equally long, so a day is longer than any of them.
        pipeline.expire(keyspace.OPS_ENDED, _KEPT_S)
        pipeline.execute()


def ended_sessions(client: Redis) -> frozenset[str]:
    """Return the sessions that were ended. Raises as `count_login` does."""
    found: Any = client.zrange(keyspace.OPS_ENDED, 0, -1)
    return frozenset(each.decode() for each in found)
