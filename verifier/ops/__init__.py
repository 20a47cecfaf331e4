"""For operators and their machines: health, and the page /ops."""

from __future__ import annotations

from flask import Flask

from verifier.ops import page
from verifier.ops.health import blueprint


def init_app(app: Flask) -> None:
    """Register the operators' pages."""
    app.register_blueprint(blueprint)
    page.init_app(app)
