"""The pages: the form, the code, the verified page."""

from __future__ import annotations

from flask import Flask

from verifier.container import current_container
from verifier.web import brand, chosen_language, delivery, errors, form_tokens, hosts, security, views


def init_app(app: Flask) -> None:
    """Register the pages, and what keeps all of the app safe in a browser."""
    hosts.init_app(app)
    chosen_language.init_app(app)
    brand.init_app(app)
    security.init_app(app)
    errors.init_app(app)
    form_tokens.init_app(app)
    app.context_processor(lambda: {"service_name": current_container().settings.name})
    app.register_blueprint(views.blueprint)
    app.register_blueprint(delivery.blueprint)
