"""The JSON API under /v1."""

from __future__ import annotations

from flask import Flask

from verifier.api.views import blueprint


def init_app(app: Flask) -> None:
    """Register the API."""
    app.register_blueprint(blueprint)


def is_for_api(path: str) -> bool:
    """Return whether a path is the API's, also where nothing is there."""
    return path.startswith(f"{blueprint.url_prefix}/")
