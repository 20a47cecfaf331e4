"""What keeps the service safe in a browser: headers, the session's cookie, the token of each form."""

from __future__ import annotations

from flask import Flask, Request, Response, request
from flask.globals import request_ctx
from flask.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from verifier.api import is_for_api

# The same origin may frame one page: where the mail is, shown live without JavaScript. The referrer must
# reach our own forms, because under https it is compared with the host.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
}
# For programs: nothing in it is ever shown by a browser.
DATA_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
ALL_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A file has its own Cache-Control: it is asked for again, by its ETag.
_FOR_PAGES, _FOR_DATA = (
    tuple(
        (name.lower(), name, value)
        for name, value in {**headers, **ALL_HEADERS, "Cache-Control": "no-store"}.items()
    )
    for headers in (PAGE_HEADERS, DATA_HEADERS)
)
# Only over TLS, where browsers heed it (RFC 6797, 7.2). A year; other names of the same domain are their owners' business.
STRICT_TRANSPORT = "max-age=31536000"
COOKIE = "verifier_session"
# A form left open overnight still works; the token is bound to the session's cookie all the same.
FORM_LIFETIME_S = 24 * 3600

csrf = CSRFProtect()


class PageSessions(SecureCookieSessionInterface):
    """Sessions whose cookie is this very host's, and for https only, where it was set over https.

    Browsers take a cookie whose name begins with `__Host-` from nobody else: not from another name of the domain, and not
    without TLS. create_app has the trusted proxies believed in whether it was https.
    """

    def __init__(self) -> None:
        self._no_session: NullSession | None = None

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a page's request; programs have none."""
        if not is_for_api(request.path):
            return super().open_session(app, request)
        if self._no_session is None:
            self._no_session = self.make_null_session(app)
        # One for all: it keeps nothing.
        return self._no_session

    def get_cookie_name(self, app: Flask) -> str:  # noqa: ARG002 - the interface's signature
        """Return the cookie's name. Cookies do not know ports: the usual one would clash with any other app's."""
        return f"__Host-{COOKIE}" if request.is_secure else COOKIE

    def get_cookie_domain(self, app: Flask) -> str | None:  # noqa: ARG002 - the interface's signature
        """Return no domain, as `__Host-` asks for."""
        return None

    def get_cookie_path(self, app: Flask) -> str:  # noqa: ARG002 - the interface's signature
        """Return the root, as `__Host-` asks for."""
        return "/"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - the interface's signature
        """Return whether this request came over https."""
        return request.is_secure


def init_app(app: Flask) -> None:
    """Set up sessions, form tokens and headers."""
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=FORM_LIFETIME_S)
    app.session_interface = PageSessions()
    csrf.init_app(app)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the headers that an answer has not set itself."""
    asked, headers = request_ctx.request, response.headers
    is_page = not is_for_api(asked.path) and response.mimetype == "text/html"
    is_page = is_page or asked.endpoint == "static"
    given = {name.lower() for name, _ in headers}
    for lower, name, value in _FOR_PAGES if is_page else _FOR_DATA:
        if lower not in given:
            headers.add(name, value)
    if asked.is_secure:
        headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    return response
