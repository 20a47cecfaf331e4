"""Celery through its own Sentinel transport, with its defaults; results are not kept."""

from __future__ import annotations

from celery import Celery

from tests.bench.peers import jobs, surroundings

_given = jobs.GIVEN
app = Celery(
    "peer",
    broker=";".join(
        f"sentinel://{_given.username}:{_given.password}@{host}:{port}" for host, port in _given.sentinels
    ),
)
app.conf.update(
    broker_transport_options={
        "master_name": _given.master_name,
        "sentinel_kwargs": surroundings.sentinel_login(_given),
    },
    task_ignore_result=True,
)


@app.task
def send(address: str) -> None:
    """Send the mail."""
    jobs.send(address)
