"""RQ's settings module for `rq worker -c` and `rq worker-pool -c`: Redis through Sentinel."""

from __future__ import annotations

# Imported before the worker forks, as RQ advises: else each job would import Flask anew.
import jobs  # noqa: F401
import peer_settings

SENTINEL = {
    "INSTANCES": peer_settings.SENTINELS,
    "MASTER_NAME": peer_settings.MASTER_NAME,
    "USERNAME": peer_settings.USERNAME,
    "PASSWORD": peer_settings.PASSWORD,
    "SOCKET_TIMEOUT": peer_settings.SOCKET_TIMEOUT_S,
    "SENTINEL_KWARGS": peer_settings.SENTINEL_KWARGS,
}
