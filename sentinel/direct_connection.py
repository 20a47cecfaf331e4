"""A connection to one process, by its address: nothing is retried or announced behind the caller's back."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sentinel.access import Login
from sentinel.endpoints import Endpoint


def connection_arguments(login: Login) -> dict[str, Any]:
    """Return the redis-py arguments that all our connections share."""
    return {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # CLIENT SETINFO exists from Redis 7.2 and is no right of ours.
        "driver_info": None,
        **login.arguments(),
    }


def direct_connection(endpoint: Endpoint, login: Login, timeout_s: float) -> Any:
    """Return an unconnected redis-py connection; connecting and each reply may take `timeout_s` seconds."""
    return redis.Connection(
        host=endpoint.host,
        port=endpoint.port,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        decode_responses=True,
        **connection_arguments(login),
    )
