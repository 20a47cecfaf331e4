"""The id of each request: in its answer, in every line that is logged meanwhile, in the access log, with its mail.

A trusted proxy may name it (X-Request-ID), so that its log and ours can be laid side by side; otherwise one is made up,
since a client's own might be anything.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from verifier.loglines import about

HEADER = "X-Request-ID"
# For gunicorn's access log (gunicorn.conf.py).
ENVIRON = "verifier.request_id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class RequestIds:
    """WSGI middleware around the whole app, so that an error that nobody foresaw has an id, too."""

    def __init__(self, wsgi_app: WsgiApp, *, trusts_proxy: bool) -> None:
        self._wsgi_app = wsgi_app
        self._trusts_proxy = trusts_proxy

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        request_id = self._id_of(environ)
        environ[ENVIRON] = request_id

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, (HEADER, request_id)], *more)

        with about(request_id=request_id):
            return self._wsgi_app(environ, start)

    def _id_of(self, environ: dict[str, Any]) -> str:
        given = str(environ.get("HTTP_X_REQUEST_ID", ""))
        if self._trusts_proxy and _WELL_FORMED.fullmatch(given):
            return given
        # It opens nothing, so it need not be kept from being guessed: the system is not asked for it.
        return f"{random.getrandbits(128):032x}"
