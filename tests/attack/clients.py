"""Hostile and ordinary clients: programs, browsers, and whoever writes bytes that are no HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

HOST = "verify.example.org"
OWN_FIELDS = re.compile(r'name="(csrf_token|request)"[^>]* value="([^"]+)"')
# On a busy machine a replica may be late in acknowledging.
SENT_AGAIN = 5
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """An answer of the service or of its proxy."""

    status: int
    headers: http.client.HTTPMessage
    text: str
    took_s: float

    @property
    def location(self) -> str:
        """Where it leads; empty where nowhere."""
        return self.headers.get("Location", "")

    @property
    def limit(self) -> str:
        """The limit that refused the request; empty where none did."""
        return str(self.json().get("limit", "")) if self.status == 429 else ""

    def json(self) -> dict[str, Any]:
        """Return the JSON object in it; an empty one where it holds none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def anywhere(self) -> str:
        """Return headers and body, to look for what must stand in neither."""
        return f"{self.headers}\n{self.text}"


@dataclass
class Client:
    """A program at an address of loopback, with a connection for each request."""

    port: int
    ip: str = "127.0.0.1"
    timeout_s: float = 60.0
    key: str = ""
    """The key of the API that it holds."""

    def ask(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer. Raises OSError or HTTPException where there is none.

        Where the service says that it can't just now, and that the same request may be sent again, that is done.
        """
        sent = dict(headers or {})
        for _ in range(SENT_AGAIN):
            answer = self._ask_once(method, path, body, sent)
            if answer.status != 503 or "Retry-After" not in answer.headers:
                break
            if key := answer.headers.get("Idempotency-Key"):
                sent["Idempotency-Key"] = key
            time.sleep(1)
        return answer

    def _ask_once(
        self, method: str, path: str, body: str | bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        began_at = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=self.timeout_s, source_address=(self.ip, 0)
        )
        try:
            connection.request(method, path, body, {"Host": HOST, **headers})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return Answer(response.status, response.headers, text, time.monotonic() - began_at)
        finally:
            connection.close()

    def call(
        self, method: str, path: str = "", body: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        """Call the API, `path` being what comes after the verifications' own."""
        sent = {"Content-Type": "application/json"} | headers
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        content = None if body is None else json.dumps(body)
        return self.ask(method, f"/v1/verifications{path}", content, sent)


@dataclass
class Browser(Client):
    """Keeps its cookies and the fields of the newest form that it was shown."""

    cookies: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def open(self, path: str) -> Answer:
        """Open a page."""
        return self._visit("GET", path, None, {})

    def send(self, path: str, headers: Mapping[str, str] | None = None, **typed: str) -> Answer:
        """Send the form that was shown with what was typed, as a browser does: with the page that it came from."""
        origin = {"Origin": f"https://{HOST}", "Referer": f"https://{HOST}/"}
        body = urlencode({**self.fields, **typed}, errors="surrogatepass")
        return self._visit("POST", path, body, {"Content-Type": FORM, **origin, **(headers or {})})

    def _visit(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.ask(method, path, body, {**({"Cookie": cookies} if cookies else {}), **headers})
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        self.fields.update(OWN_FIELDS.findall(answer.text))
        return answer


@dataclass(frozen=True)
class RawAnswer:
    """All that came back on a connection."""

    content: bytes
    hung: bool
    """Whether nothing at all came back in time."""

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers, one after the other."""
        return [int(each) for each in re.findall(rb"HTTP/1\.[01] (\d{3})", self.content)]

    @property
    def failed(self) -> bool:
        """Whether any answer says that something broke: not that there is no such method, nor to try again, unless
        gunicorn is gone."""
        return b"destination_unavailable" in self.content or any(
            each >= 500 and each not in {501, 503} for each in self.statuses
        )


def say(
    port: int, content: bytes, *, ip: str = "127.0.0.1", first_within_s: float, quiet_s: float = 0.5
) -> RawAnswer:
    """Write bytes to a connection and return what comes back until it is closed, or quiet for so long."""
    received = b""
    with socket.create_connection(
        ("127.0.0.1", port), timeout=first_within_s, source_address=(ip, 0)
    ) as connection:
        try:
            connection.sendall(content)
            while part := connection.recv(65536):
                received += part
                connection.settimeout(quiet_s)
        except TimeoutError:
            return RawAnswer(received, hung=not received)
        except ConnectionError:
            pass
    return RawAnswer(received, hung=False)
