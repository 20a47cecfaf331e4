"""Where a worker shows its metrics: a small server of its own, in a thread.

The socket is made before processes are forked, so that all of them accept on it: one address for all, whichever answers
adds up what all have counted, and one that ends takes nothing with it.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from verifier.metrics.page import MetricsPage
from verifier.metrics.reading import may_read
from verifier.settings import MetricsSettings, SettingsError

log = logging.getLogger(__name__)

# How long a client may take for its request and for reading, each.
TIMEOUT_S = 5.0
_WAITING = 16


def listen(settings: MetricsSettings) -> socket.socket | None:
    """Return a socket that listens where the settings say; None where workers show no metrics.

    Raises:
        SettingsError: nobody can listen there.
    """
    if not settings.worker_port:
        return None
    host, port = settings.worker_host.strip("[]"), settings.worker_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise SettingsError(
            f"VERIFIER_WORKER_METRICS_PORT: The metrics can't be shown at {host}, port {port}: "
            f"{_reason(error)}. Free the port, or set another one or another VERIFIER_WORKER_METRICS_HOST."
        ) from None
    # Another process may take the connection between the look and the accept.
    listening.setblocking(False)
    return listening


def _reason(error: OSError) -> str:
    """Return it in the system's words alone: Python adds the address, and names that lead nowhere have other numbers."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror or error)


class MetricsServer:
    """Answers scrapes, one at a time, for as long as the process lives."""

    def __init__(self, listening: socket.socket, page: MetricsPage, token: str) -> None:
        self._server = _Server(listening, page, token)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(HTTPServer):
    def __init__(self, listening: socket.socket, page: MetricsPage, token: str) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.page, self.token = listening, page, token

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the server's signature
        log.debug("A scrape was not answered: %s", sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT_S
    server_version, sys_version = "verifier", ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics" or not self._may_read():
            self._answer(404, b"There is nothing at this address.\n", "text/plain; charset=utf-8")
            return
        self._answer(200, *self.server.page.render(self.headers.get("Accept", "")))

    def _may_read(self) -> bool:
        return may_read(
            self.server.token,
            authorization=self.headers.get("Authorization", ""),
            peer=str(self.client_address[0]),
            host=self.headers.get("Host", ""),
            headers=self.headers.keys(),
        )

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the handler's signature
        log.debug(format, *args)
