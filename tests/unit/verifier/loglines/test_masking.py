"""Addresses are masked wherever they stand in a text."""

from __future__ import annotations

import time

import pytest

from verifier.loglines import masked

MASKED = [
    ("alice@example.org", "a***@example.org"),
    ("550 5.1.1 <alice.smith+x@example.org>: unknown", "550 5.1.1 <a***@example.org>: unknown"),
    ("O'Brien@example.org", "O***@example.org"),
    ("a@example.org", "***@example.org"),
    ("{'to': 'alice@example.org'}", "{'to': 'a***@example.org'}"),
    ("GET /verify?email=alice%40example.org", "GET /v***%40example.org"),
    ("jörg@müller.example", "j***@müller.example"),
    ('"alice smith"@example.org', "***@example.org"),
    ("<alice@example.org> and <bob@example.com>", "<a***@example.org> and <b***@example.com>"),
    (
        "SMTP said mailto:alice@example.org,bob@example.org",
        "SMTP said mailto:a***@example.org,b***@example.org",
    ),
    ("Redis at 10.0.0.5:6379, nobody else", "Redis at 10.0.0.5:6379, nobody else"),
]


@pytest.mark.parametrize(("text", "expected"), MASKED, ids=[each[0] for each in MASKED])
def test_an_address_is_masked(text: str, expected: str) -> None:
    """The first character and the domain stay; a name of one character goes whole."""
    assert masked(text) == expected


def test_a_long_text_is_masked_in_a_time_that_grows_with_its_length() -> None:
    """Strangers choose the texts: ten times as long takes far less than a hundred times as long."""

    def takes_s(length: int) -> float:
        began = time.process_time()
        for _ in range(5):
            masked("x" * length + " @")
        return time.process_time() - began

    assert takes_s(300_000) < 40 * max(takes_s(30_000), 0.001)
