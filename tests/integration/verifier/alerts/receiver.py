"""A webhook on loopback that keeps what is posted to it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATH = "/hooks/a-secret-token"


class Receiver:
    """A context manager; the next posts are answered with `replies` in place of 200, and 0 means never."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refused = 0
        self.replies: list[int] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = receiver.replies.pop(0) if receiver.replies else 200
                if reply == 0:
                    receiver.released.wait(60)
                    return
                if reply == 200 and self.path == PATH:
                    receiver.bodies.append(body)
                else:
                    receiver.refused += 1
                self.send_response(reply)
                if reply == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(b"ok" if reply == 200 else b"invalid_payload")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def told(self, name: str) -> list[str]:
        """Return what was told of an alert: firing, resolved, in the order of their coming."""
        return [body["state"] for body in self.bodies if body["name"] == name]

    def sentence(self, name: str, state: str = "firing") -> str:
        """Return what the newest one said."""
        return next(
            body["sentence"]
            for body in reversed(self.bodies)
            if (body["name"], body["state"]) == (name, state)
        )
