"""Where a worker shows its metrics."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from sentinel import PortReservation
from verifier.settings import MetricsSettings, SettingsError
from workers.metrics.server import MetricsServer, listen

TOKEN = "t" * 32


class Page:
    """In place of the metrics."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return what was asked for."""
        return f"asked for {accept}".encode(), "text/plain; version=0.0.4"


@pytest.fixture
def settings() -> MetricsSettings:
    """A free port of loopback."""
    ports = PortReservation()
    port = ports.reserve().port
    ports.release()
    return MetricsSettings(worker_port=port)


@pytest.fixture
def token() -> str:
    """None."""
    return ""


@pytest.fixture
def server(settings: MetricsSettings, token: str) -> Iterator[MetricsServer]:
    """One that answers."""
    listening = listen(settings)
    assert listening is not None
    running = MetricsServer(listening, cast("Any", Page()), token)
    running.start()
    yield running
    running.stop()


def _get(
    settings: MetricsSettings, path: str = "/metrics", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", settings.worker_port, timeout=30)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_shows_metrics_and_nothing_else(settings: MetricsSettings, server: MetricsServer) -> None:
    """To this machine."""
    assert _get(settings, headers={"Accept": "text/plain"}) == (200, b"asked for text/plain")
    assert _get(settings, "/")[0] == 404
    assert _get(settings, headers={"X-Forwarded-For": "10.0.0.7"})[0] == 404
    assert _get(settings, headers={"Host": "attacker.example"})[0] == 404


def test_rubbish_does_not_end_it(settings: MetricsSettings, server: MetricsServer) -> None:
    """Nor does a client that goes away."""
    for sent in (b"\x00\x01\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n", b"GET"):
        with socket.create_connection(("127.0.0.1", settings.worker_port), timeout=30) as client:
            client.sendall(sent)
    assert _get(settings)[0] == 200


@pytest.mark.parametrize("token", [TOKEN])
def test_with_a_token_it_wants_that(settings: MetricsSettings, server: MetricsServer) -> None:
    """From this machine, too."""
    assert _get(settings)[0] == 404
    assert _get(settings, headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200


def test_a_port_that_is_taken_is_named(settings: MetricsSettings, server: MetricsServer) -> None:
    """With what to do, before anything starts."""
    with pytest.raises(
        SettingsError, match=r"^VERIFIER_WORKER_METRICS_PORT: .* Address already in use\. Free the port"
    ):
        listen(settings)


def test_a_host_that_is_not_ours_is_named(settings: MetricsSettings) -> None:
    """The same."""
    with pytest.raises(
        SettingsError, match=r"^VERIFIER_WORKER_METRICS_PORT: .* VERIFIER_WORKER_METRICS_HOST\.$"
    ):
        listen(MetricsSettings(TOKEN, settings.worker_port, "192.0.2.1"))


def test_without_a_port_there_is_none() -> None:
    """It is off by default."""
    assert listen(MetricsSettings()) is None
