"""What `flask run` brings without settings."""

from __future__ import annotations

from dataclasses import replace

from verifier.dev.embedded import ROOMY_LIMITS
from verifier.domain.limits import Limits, parse_limit
from verifier.settings import known_names

PREFIX = "VERIFIER_LIMIT_"


def test_whoever_tries_the_service_trips_over_no_limit() -> None:
    """Time and again with the same address; what is allowed there is still limited, and leaves room to others."""
    assert set(ROOMY_LIMITS) <= known_names()
    named = {name.removeprefix(PREFIX).lower(): parse_limit(text) for name, text in ROOMY_LIMITS.items()}
    assert all(limit.rates[0].count >= 200 for limit in named.values())
    assert list(replace(Limits(), **named).without_room()) == []
