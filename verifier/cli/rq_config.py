"""What leads RQ's own commands to the master, through Sentinel: `rq info -c verifier.cli.rq_config`.

RQ asks the sentinels once, and follows no failover: that is enough for a look, or for `rq suspend`.
"""

from __future__ import annotations

from typing import Any

import click

from sentinel import Login, Tls
from verifier.cli.sentinel.operators import find_running, queue, settings_of_redis
from verifier.settings import RedisSettings


def sentinel_of(redis: RedisSettings) -> dict[str, Any]:
    """Return the settings as RQ's `SENTINEL` has them."""
    tls = _tls(redis.tls)
    return {
        "INSTANCES": [tuple(each) for each in redis.sentinels],
        "MASTER_NAME": redis.master_name,
        "CONNECTION_KWARGS": {**_login(redis.login), **tls},
        "SENTINEL_KWARGS": {**_login(redis.sentinel_login), **tls},
    }


def _login(login: Login) -> dict[str, Any]:
    return {"username": login.username or None, "password": login.password or None}


def _tls(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": str(tls.ca_file) if tls.ca_file else None,
        "ssl_certfile": str(tls.certificate_file) if tls.certificate_file else None,
        "ssl_keyfile": str(tls.key_file) if tls.key_file else None,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }


try:
    find_running()
    SENTINEL = sentinel_of(settings_of_redis())
    QUEUES = [queue().name]
except click.ClickException as error:
    raise SystemExit(f"Error: {error.message}") from None
