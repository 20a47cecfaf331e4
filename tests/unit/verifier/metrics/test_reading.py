"""Who may read the metrics."""

from __future__ import annotations

import pytest

from verifier.metrics.reading import may_read

TOKEN = "t" * 32
HERE = {"authorization": "", "peer": "127.0.0.1", "host": "127.0.0.1:8000", "headers": ["Host", "Accept"]}


@pytest.mark.parametrize(
    ("differs", "may"),
    [
        ({}, True),
        ({"peer": "::1", "host": "[::1]:8000"}, True),
        ({"host": "localhost"}, True),
        ({"peer": "10.0.0.7"}, False),
        ({"peer": ""}, False),
        ({"peer": "unix:"}, False),
        # A page that was led here by a name of its own.
        ({"host": "attacker.example:8000"}, False),
        ({"host": ""}, False),
        # Somebody else's request, by way of a proxy on this machine.
        ({"headers": ["Host", "X-Forwarded-For"]}, False),
        ({"headers": ["x-forwarded-proto"]}, False),
        ({"headers": ["X-Real-IP"]}, False),
        ({"headers": ["Forwarded"]}, False),
        ({"headers": ["VIA"]}, False),
        ({"authorization": f"Bearer {TOKEN}", "peer": "10.0.0.7"}, False),
    ],
)
def test_without_a_token_only_this_machine(differs: dict[str, str], may: bool) -> None:
    """Really: not by way of a proxy, nor of a browser that another site leads."""
    assert may_read("", **{**HERE, **differs}) is may


@pytest.mark.parametrize(
    ("sent", "may"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN}", True),
        ("", False),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN}t", False),
        ("Bearer é", False),
    ],
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.7"])
def test_with_a_token_whoever_has_it(peer: str, sent: str, may: bool) -> None:
    """From anywhere, under any name; and from here nobody without it."""
    asked = {**HERE, "authorization": sent, "peer": peer, "host": "web:8000", "headers": ["X-Forwarded-For"]}
    assert may_read(TOKEN, **asked) is may
