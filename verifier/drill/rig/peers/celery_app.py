"""Stock Celery: its Sentinel transport with its defaults; `celery -A` finds the worker's half here."""

from __future__ import annotations

from celery import Celery  # type: ignore[import-not-found, import-untyped, unused-ignore]
from flask import Flask, Response, request

from verifier.drill.rig.peers import surroundings
from verifier.drill.rig.peers.surroundings import send_mail

app = Flask(__name__)
celery = Celery(
    "peer",
    broker=";".join(
        f"sentinel://{surroundings.USER}:{surroundings.PASSWORD}@{host}:{port}"
        for host, port in surroundings.sentinels()
    ),
)
celery.conf.update(
    broker_transport_options={
        "master_name": surroundings.MASTER,
        "sentinel_kwargs": {
            "username": surroundings.SENTINEL_USER,
            "password": surroundings.SENTINEL_PASSWORD,
            "socket_timeout": 0.5,
        },
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)
mail = celery.task(send_mail)


@app.get("/healthz")
def alive() -> str:
    """Tell that the process answers."""
    return "ok"


@app.post("/v1/verifications")
def start() -> Response:
    """Queue one mail."""
    mail.delay(request.get_json()["to"])
    return Response("{}", status=201, content_type="application/json")
