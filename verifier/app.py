"""The Flask app, put together from what `container` makes: its settings, and who answers which address."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request
from werkzeug.exceptions import BadHost
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from verifier import api, languages, ops, web
from verifier.container import install, make_container
from verifier.ops import requests
from verifier.settings import Settings, load_settings
from verifier.web.request_ids import RequestIds

MAX_BODY_BYTES = 16 * 1024

log = logging.getLogger(__name__)


class App(Flask):
    """The app; it has no coroutines, so nothing is asked whether it is one, as Flask does ten times in each request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Find the way for a request, as without a Host where its own has a part that is empty or over 63 characters.

        Flask goes on without an adapter there, so that no page could be made, the one that says so included.
        """
        try:
            return super().create_url_adapter(request)
        except BadHost:
            if request is None:
                raise
            request.environ["HTTP_HOST"] = ""
            return super().create_url_adapter(request)


class _Hops(ProxyFix):
    """Believes the trusted proxies, also where the client began the list with a quote that it never closes.

    To werkzeug that is no list, so the client would be counted as the proxy, apart from its own network.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request; quotes mean nothing in these headers."""
        for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"):
            if '"' in environ.get(name, ""):
                environ[name] = environ[name].replace('"', "")
        return super().__call__(environ, start_response)


def make_app(settings: Settings | None = None) -> Flask:
    """Make it; see `verifier.create_app`."""
    if settings is None:
        settings = load_settings()
    container = make_container(settings)
    app = App("verifier")
    session_keys = [key.hex() for key in settings.keys.derive_all("session")]
    app.config.update(
        SECRET_KEY=session_keys[0],
        SECRET_KEY_FALLBACKS=session_keys[1:],
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = _Hops(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.wsgi_app = RequestIds(  # type: ignore[method-assign]
        app.wsgi_app, trusts_proxy=settings.trusted_proxies > 0
    )
    install(app, container)
    _say_what_is_open(settings)
    # An address with a second slash is another one: werkzeug would lead from there to one that begins with //.
    app.url_map.merge_slashes = False
    for each in (requests, languages, web, api, ops):
        each.init_app(app)
    return app


def _say_what_is_open(settings: Settings) -> None:
    if settings.api_open and not settings.development:
        log.warning(
            "VERIFIER_API_OPEN is true: whoever reaches this service may have mails sent to any address. "
            "Make keys with `flask api-keys new NAME`."
        )
    if not settings.hosts and not settings.development:
        log.warning(
            "VERIFIER_HOSTS is not set, so this service answers under any host name. Name the hosts under which people "
            "and backends reach it, such as verify.example.org."
        )
    if not settings.api_keys and not settings.api_open:
        log.info("The API is closed, because VERIFIER_API_KEYS has no keys; the pages work.")
