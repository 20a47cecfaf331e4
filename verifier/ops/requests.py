"""Counts each request and how long it took, for the metrics: around everything else that the app does with it."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from verifier.container import current_container


def init_app(app: Flask) -> None:
    """Count from now on; to be called before all others that look at requests, so that their time counts, too."""
    app.before_request(_begin)
    app.after_request(_count)


def _begin() -> None:
    g.began_at = time.perf_counter()


def _count(response: Response) -> Response:
    visits, rule = current_container().visits, request.url_rule
    duration_s = time.perf_counter() - g.began_at
    visits.visited(rule.rule if rule else None, request.method, response.status_code, duration_s)
    if request.blueprint == "api":
        caller = g.get("caller")
        visits.called(caller.name if caller else "", response.status_code)
    return response
