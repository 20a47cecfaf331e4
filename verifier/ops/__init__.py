"""For operators and their machines: health."""

from __future__ import annotations

from flask import Flask

from verifier.ops.health import blueprint


def init_app(app: Flask) -> None:
    """Register the operators' pages."""
    app.register_blueprint(blueprint)
