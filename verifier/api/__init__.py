"""The JSON API under /v1, and its reference: `/openapi.json` for programs, `/docs` for people."""

from __future__ import annotations

from flask import Flask

from verifier.api import reference
from verifier.api.views import blueprint


def init_app(app: Flask) -> None:
    """Register the API and its reference."""
    app.register_blueprint(blueprint)
    app.register_blueprint(reference.blueprint)


def is_for_api(path: str) -> bool:
    """Return whether a path is the API's, also where nothing is there."""
    return f"{path}/".startswith(f"{blueprint.url_prefix}/")
