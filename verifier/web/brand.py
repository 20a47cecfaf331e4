"""The pages' own logo and colour, served from our own host, as the policy of the pages wants it (security.py)."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort, current_app, request, send_file

from verifier.container import current_container

# A drawing may style itself. Opened by itself it is a document, which runs nothing.
_LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_STYLE = """:root {{ --accent: {light}; --accent-strong: {light_strong}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; --accent-strong: {dark_strong}; }} }}
"""

blueprint = Blueprint("brand", __name__)


def init_app(app: Flask) -> None:
    """Serve both, and let templates know whether there are any."""
    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"brand": current_container().settings.brand})


@blueprint.get("/brand/style.css")
def style() -> Response:
    """Exchange the colours of the pages' own style sheet."""
    accent = current_container().settings.brand.accent
    if accent is None:
        abort(404)
    response = current_app.response_class(_STYLE.format(**vars(accent)), mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/brand/logo")
def logo() -> Response:
    """Send the picture."""
    brand = current_container().settings.brand
    if brand.logo is None:
        abort(404)
    response = send_file(brand.logo.absolute(), mimetype=brand.logo_type)
    response.headers["Content-Security-Policy"] = _LOGO_POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response
