"""What an app is made of, from the settings."""

from __future__ import annotations

import pytest

from sentinel.deadline import remaining_s
from verifier.container import make_container
from verifier.domain.errors import VerificationNotFound
from verifier.settings import load_settings


@pytest.mark.parametrize("deadline_s", [5, 40])
def test_a_request_waits_for_as_long_as_is_set(monkeypatch: pytest.MonkeyPatch, deadline_s: int) -> None:
    """For less than the usual time, and for more."""
    monkeypatch.setenv("VERIFIER_SENTINELS", "127.0.0.1:1")
    monkeypatch.setenv(
        "VERIFIER_SECRET_KEYS", "k1:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f1"
    )
    monkeypatch.setenv("VERIFIER_REQUEST_DEADLINE", str(deadline_s))
    service = make_container(load_settings(None)).service
    left: list[float] = []

    def look(_: str) -> None:
        left.append(remaining_s() or 0)
        raise VerificationNotFound

    monkeypatch.setattr(service._store, "get", look)
    with pytest.raises(VerificationNotFound):
        service.get("0" * 32)
    assert deadline_s - 3 < left[0] <= deadline_s
