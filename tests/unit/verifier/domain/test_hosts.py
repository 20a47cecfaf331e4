"""Names of hosts: read from headers and settings, and those of this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.hosts import host_name_in, is_loopback_name, parse_hosts


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("verify.example.org", "verify.example.org"),
        ("Verify.Example.ORG:8000", "verify.example.org"),
        ("verify.example.org.", "verify.example.org"),
        ("verify.example.org.:443", "verify.example.org"),
        ("127.0.0.1:5000", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]:8000", "[::1]"),
        ("[2001:DB8::1]:8000", "[2001:db8::1]"),
        ("xn--exmple-cua.org", "xn--exmple-cua.org"),
        ("web", "web"),
        ("", None),
        (".", None),
        ("a..b", None),
        (".example.org", None),
        ("::1", None),
        ("[::1", None),
        ("[zz]", None),
        ("[1.2.3.4]", None),
        ("a:b", None),
        ("a:", None),
        ("a:65536", None),
        ("a:1:2", None),
        ("user@verify.example.org", None),
        ("verify.example.org/..", None),
        ("verify.example.org evil.example", None),
        ("verify.example.org,evil.example", None),
        ("verify.example.org\nx", None),
        ("exämple.org", None),
        ("a" * 300, None),
        ("a" * 63, "a" * 63),
        (f"{'a' * 64}.example.org", None),
    ],
)
def test_a_header_names_a_host_or_none(header: str, name: str | None) -> None:
    """With or without a port, in any case, with the dot at its end."""
    assert host_name_in(header) == name


@pytest.mark.parametrize("name", ["localhost", "app.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"])
def test_loopback_names(name: str) -> None:
    """Nobody else's name server answers for them."""
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name", ["localhost.example.org", "127.0.0.1.example.org", "0.0.0.1", "[::]", "10.0.0.1", "", "1"]
)
def test_other_names(name: str) -> None:
    """They may lead anywhere."""
    assert not is_loopback_name(name)


def test_hosts_are_read_into_one_form() -> None:
    """As the header is; other scripts as browsers send them."""
    assert parse_hosts(" Exämple.org, web.,[0::1] ,") == ("xn--exmple-cua.org", "web", "[::1]")
    assert parse_hosts("") == ()


@given(st.text(max_size=60))
def test_whatever_a_header_holds_is_a_name_or_none(text: str) -> None:
    """And a name stays itself."""
    name = host_name_in(text)
    assert name is None or host_name_in(name) == name
