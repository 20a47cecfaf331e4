"""Stock RQ: `Queue.enqueue` behind a Flask app; run as a program, RQ's SimpleWorker."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from redis import Redis
from redis.sentinel import Sentinel
from rq import Queue, SimpleWorker

from verifier.drill.rig.peers import surroundings
from verifier.drill.rig.peers.surroundings import send_mail

app = Flask(__name__)


def connect() -> Redis:
    """Give redis-py's own client of the master, with its defaults."""
    sentinel = Sentinel(
        surroundings.sentinels(),
        sentinel_kwargs={
            "username": surroundings.SENTINEL_USER,
            "password": surroundings.SENTINEL_PASSWORD,
            "socket_timeout": 0.5,
        },
        username=surroundings.USER,
        password=surroundings.PASSWORD,
        socket_timeout=5,
    )
    client: Redis = sentinel.master_for(surroundings.MASTER)
    return client


queue = Queue("mail", connection=connect())


@app.get("/healthz")
def alive() -> str:
    """Tell that the process answers."""
    return "ok"


@app.post("/v1/verifications")
def start() -> Response:
    """Queue one mail."""
    queue.enqueue(send_mail, request.get_json()["to"])
    return Response("{}", status=201, content_type="application/json")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    SimpleWorker([queue], connection=connect()).work(logging_level="INFO")
