"""A bare Flask view that enqueues, for gunicorn: what a tutorial of Flask and RQ ends with."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from rq import Queue

from tests.bench.peers import surroundings

app = Flask("peer")
queue = Queue(surroundings.QUEUE, connection=surroundings.redis_client(surroundings.read()))


@app.get("/healthz")
def healthz() -> str:
    """Tell that it listens."""
    return "ok"


@app.post("/v1/verifications")
def start() -> tuple[Response, int]:
    """Queue the mail."""
    job = queue.enqueue("tests.bench.peers.jobs.send", request.get_json()["to"])
    return jsonify({"id": job.id}), 201
