"""RQ's settings module for `rq worker -c` and `rq worker-pool -c`: Redis through Sentinel."""

from __future__ import annotations

from tests.bench.peers import surroundings

_given = surroundings.read()
SENTINEL = {
    "INSTANCES": _given.sentinels,
    "MASTER_NAME": _given.master_name,
    "USERNAME": _given.username,
    "PASSWORD": _given.password,
    "SENTINEL_KWARGS": surroundings.sentinel_login(_given),
}
