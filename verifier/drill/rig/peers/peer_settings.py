"""Where the peers find Redis, through Sentinel, and the relay: read from the environment that all systems get.

These modules are found by name alone (their folder is on the peers' PYTHONPATH) and import nothing of this
project: the virtualenv of the benchmarks' peers has none of its dependencies. What they do is what the
libraries' own documentation shows.
"""

from __future__ import annotations

import os

from redis import Redis
from redis.sentinel import Sentinel

QUEUE = "mail"
MASTER_NAME = os.environ["VERIFIER_SENTINEL_MASTER"]
USERNAME, PASSWORD = os.environ["VERIFIER_REDIS_USERNAME"], os.environ["VERIFIER_REDIS_PASSWORD"]
SENTINELS = [
    (host, int(port))
    for host, _, port in (each.rpartition(":") for each in os.environ["VERIFIER_SENTINELS"].split(","))
]
SENTINEL_KWARGS = {
    "username": os.environ["VERIFIER_SENTINEL_USERNAME"],
    "password": os.environ["VERIFIER_SENTINEL_PASSWORD"],
    "socket_timeout": 0.5,
}
SOCKET_TIMEOUT_S = 5
MAIL_SERVER, MAIL_PORT = os.environ["VERIFIER_MAIL_SERVER"], int(os.environ["VERIFIER_MAIL_PORT"])
MAIL_BYTES = int(os.environ.get("PEER_MAIL_BYTES", "0"))
"""How large a mail is to be; a small one where that is not said."""
MAIL_IS_FINISHED = "PEER_MAIL_IS_FINISHED" in os.environ
"""Whether jobs only hand over a mail that was built beforehand."""


def redis_client() -> Redis:
    """Return redis-py's own client that asks Sentinel for the master."""
    sentinel = Sentinel(
        SENTINELS,
        sentinel_kwargs=SENTINEL_KWARGS,
        username=USERNAME,
        password=PASSWORD,
        socket_timeout=SOCKET_TIMEOUT_S,
    )
    client: Redis = sentinel.master_for(MASTER_NAME)
    return client
