"""For operators and their machines: health, metrics, and the page /ops."""

from __future__ import annotations

from flask import Flask

from verifier.ops import health, metrics, page


def init_app(app: Flask) -> None:
    """Register the operators' pages."""
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    page.init_app(app)
