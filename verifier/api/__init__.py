"""The JSON API under /v1."""

from __future__ import annotations

from flask import Flask

from verifier.api.views import blueprint


def init_app(app: Flask) -> None:
    """Register the API."""
    app.register_blueprint(blueprint)
