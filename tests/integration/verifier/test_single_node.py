"""One Redis without replicas, behind one sentinel: enough for development, though a dead node takes all with it."""

from __future__ import annotations

import pytest

from sentinel import LocalOptions, LocalTopology, findings_of
from tests.support.apps import container_of
from verifier import create_app
from verifier.domain.keys import new_secret
from verifier.settings import load_settings
from verifier.store.facts import WorkerReport, send_heartbeat


def test_a_node_without_replicas_takes_submissions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With VERIFIER_REPLICAS_TO_ACKNOWLEDGE=0 nobody is waited for, and /readyz finds nothing wrong with that."""
    with LocalTopology(LocalOptions(replicas=0, sentinels=1, min_replicas_to_write=0)) as single:
        environment = single.environment() | {
            "VERIFIER_SECRET_KEYS": f"test:{new_secret()}",
            "VERIFIER_REPLICAS_TO_ACKNOWLEDGE": "0",
            "VERIFIER_API_OPEN": "true",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        app = create_app(load_settings(None))
        link = container_of(app).link
        try:
            client = app.test_client()
            assert client.post("/v1/verifications", json={"to": "ann@example.org"}).status_code == 201
            send_heartbeat(link.redis, WorkerReport("somebody"))
            ready = client.get("/readyz")
            assert ready.status_code == 200, ready.json
        finally:
            link.close()
        # The doctor says what it costs.
        assert "no-replica" in {each.code for each in findings_of(single.snapshot())}
