"""Reading and writing endpoints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.endpoints import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("a", Endpoint("a", 26379)),
        (" a ", Endpoint("a", 26379)),
        ("a:1", Endpoint("a", 1)),
        ("redis-1.example.org:65535", Endpoint("redis-1.example.org", 65535)),
        ("127.0.0.1:6379", Endpoint("127.0.0.1", 6379)),
        ("::1", Endpoint("::1", 26379)),
        ("[::1]", Endpoint("::1", 26379)),
        ("[::1]:7", Endpoint("::1", 7)),
        ("[fe80::1%eth0]:7", Endpoint("fe80::1%eth0", 7)),
    ],
)
def test_an_endpoint_is_read(text: str, endpoint: Endpoint) -> None:
    """Where there is no port the default is taken."""
    assert parse_endpoint(text, 26379) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":1",
        "[]:1",
        "a:x",
        "a:0",
        "a:65536",
        "a:-1",
        "a:٣",
        "[::1",
        "[::1]x",
        "a b",
        "a /",
        "redis://a:1",
        "us@a:1",
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    """With a reason."""
    with pytest.raises(ValueError, match=r"names no host|is not host:port|an endpoint is host:port"):
        parse_endpoint(text, 26379)


@given(host=st.ip_addresses().map(str), port=st.integers(1, 65535))
def test_what_is_written_can_be_read(host: str, port: int) -> None:
    """IPv6 comes in brackets."""
    assert parse_endpoint(str(Endpoint(host, port)), 1) == Endpoint(host, port)
