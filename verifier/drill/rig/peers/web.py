"""The web of all peers: a bare Flask app whose view queues, as a tutorial of Flask and a queue ends."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, jsonify, request


def make_web(enqueue: Callable[[str], str]) -> Flask:
    """Return an app that hands each posted address to `enqueue`, which returns the job's id."""
    app = Flask("peer-web")

    @app.get("/healthz")
    def healthz() -> str:
        """Answer that the process serves."""
        return "ok"

    @app.post("/v1/verifications")
    def start() -> tuple[Response, int]:
        """Queue the mail."""
        return jsonify({"id": enqueue(request.get_json()["to"])}), 201

    return app
