"""Under which names this service answers: a page of somebody else must not reach it by a name of its own.

That is how DNS rebinding works: the attacker's name leads a person's browser to an address of their own network. Health is
asked for by load balancers and containers, which know addresses only; it says nothing that is worth a name, so it is open.
Metrics are scraped by address, too, and look at the name themselves.
"""

from __future__ import annotations

from flask import Flask, request

from verifier.container import container_of
from verifier.domain.errors import UnknownHost
from verifier.domain.hosts import host_name_in, is_loopback_name

ANY_HOST = frozenset({"health.alive", "health.serves", "health.ready", "metrics.show"})


def init_app(app: Flask) -> None:
    """Refuse what is asked for under another name, before anybody looks at it."""
    settings = container_of(app).settings
    if not (settings.hosts or settings.development):
        return

    def require_own_host() -> None:
        if request.endpoint in ANY_HOST:
            return
        name = host_name_in(request.environ.get("HTTP_HOST", ""))
        if name in settings.hosts:
            return
        if name is None or not (settings.development and is_loopback_name(name)):
            raise UnknownHost

    app.before_request(require_own_host)
