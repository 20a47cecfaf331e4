"""Counts each request and how long it took, for the metrics: around everything else that the app does with it."""

from __future__ import annotations

import time

from flask import Flask, Response, g
from flask.globals import app_ctx, request_ctx

from verifier.container import container_of


def init_app(app: Flask) -> None:
    """Count from now on; to be called before all others that look at requests, so that their time counts, too."""
    visits = container_of(app).visits

    def begin() -> None:
        g.began_at = time.perf_counter()

    def count(response: Response) -> Response:
        # Itself, and not what stands for it: each look at that costs as much as counting.
        asked, known, status = request_ctx.request, app_ctx.g, response.status_code
        rule = asked.url_rule
        visits.visited(
            rule.rule if rule else None, asked.method, status, time.perf_counter() - known.began_at
        )
        if asked.blueprint == "api":
            caller = known.get("caller")
            visits.called(caller.name if caller else "", status)
        return response

    app.before_request(begin)
    app.after_request(count)
