"""Stock Celery: its own Sentinel transport, with its defaults; results are not kept."""

from __future__ import annotations

import jobs
import peer_settings
from celery import Celery
from web import make_web

app = Celery(
    "peer",
    broker=";".join(
        f"sentinel://{peer_settings.USERNAME}:{peer_settings.PASSWORD}@{host}:{port}"
        for host, port in peer_settings.SENTINELS
    ),
)
app.conf.update(
    broker_transport_options={
        "master_name": peer_settings.MASTER_NAME,
        "sentinel_kwargs": peer_settings.SENTINEL_KWARGS,
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)
send = app.task(jobs.send)
web = make_web(lambda address: str(send.delay(address).id))
