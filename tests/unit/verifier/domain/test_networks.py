"""Which clients are one: by the network of their address, whatever a proxy writes."""

from __future__ import annotations

import pytest

from verifier.domain.networks import UNKNOWN, client_network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.7:4711", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("[::ffff:192.0.2.7]:4711", "192.0.2.0/24"),
        ("::FFFF:C000:0207", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:4711", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (" 127.0.0.1 ", "127.0.0.0/24"),
    ],
)
def test_an_address_has_a_network(text: str, network: str) -> None:
    """An IPv4 /24, also where it is written as IPv6, and an IPv6 /64."""
    assert client_network(text, 24, 64) == network


def test_the_prefixes_are_settings() -> None:
    """A whole address, or the /48 that many providers hand out."""
    assert client_network("192.0.2.7", 32, 64) == "192.0.2.7/32"
    assert client_network("2001:db8:1:2::1", 24, 48) == "2001:db8:1::/48"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.256",
        "010.0.0.1",
        "1" * 5000,
        "::g",
        "[",
        "[]:1",
    ],
)
def test_what_is_no_address_is_one_client(text: str) -> None:
    """So that nobody gets a new allowance by thinking up rubbish."""
    assert client_network(text, 24, 64) == UNKNOWN
