"""`/metrics`, for Prometheus. It is not there for whoever may not read it (verifier/metrics/reading.py)."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from verifier.container import current_container
from verifier.metrics.reading import may_read

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show() -> Response:
    """Return the metrics of all processes of this service; 200 whether or not Redis answers."""
    container = current_container()
    if not may_read(
        container.settings.metrics.token,
        authorization=request.headers.get("Authorization", ""),
        peer=_peer(),
        host=request.headers.get("Host", ""),
        headers=request.headers.keys(),
    ):
        abort(404)
    body, content_type = container.metrics_page.render(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


def _peer() -> str:
    """Return who is connected: what trusted proxies say of the client is put in its place before."""
    before = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    return str(before.get("REMOTE_ADDR") or "")
