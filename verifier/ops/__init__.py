"""For operators and their machines: health and metrics."""

from __future__ import annotations

from flask import Flask

from verifier.ops import health, metrics


def init_app(app: Flask) -> None:
    """Register the operators' pages."""
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
