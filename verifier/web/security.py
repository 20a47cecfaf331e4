"""What keeps the pages safe in a browser: headers, the session's cookie, the token of each form."""

from __future__ import annotations

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from verifier.api import is_for_api

# The same origin may frame one page: where the mail is, shown live without JavaScript. The referrer must
# reach our own forms, because under https it is compared with the host.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
}
# A form left open overnight still works; the token is bound to the session's cookie all the same.
FORM_LIFETIME_S = 24 * 3600

csrf = CSRFProtect()


class PageSessions(SecureCookieSessionInterface):
    """Sessions whose cookie is for https only where it was set over https."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - the interface's signature
        """Return whether this request came over https; create_app has the trusted proxies believed."""
        return request.is_secure


def init_app(app: Flask) -> None:
    """Set up sessions, form tokens and headers; the API is left alone."""
    # Cookies do not know ports: the usual name would clash with any other app on the same host.
    app.config.update(
        SESSION_COOKIE_NAME="verifier_session",
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=FORM_LIFETIME_S,
    )
    app.session_interface = PageSessions()
    csrf.init_app(app)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the headers that a page has not set itself; only files are worth keeping in a cache."""
    if is_for_api(request.path):
        return response
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
