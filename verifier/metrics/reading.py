"""Who may read the metrics: the holder of the token, or where none is set, this very machine.

A request that came through a proxy is nobody's on this machine, whatever its headers say; and a browser on it that was led
here by another name (DNS rebinding) is its visitor's.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address

from verifier.domain.hosts import host_name_in, is_loopback_name

_FORWARDED = ("x-forwarded-", "x-real-ip", "forwarded", "via")


def may_read(token: str, *, authorization: str, peer: str, host: str, headers: Iterable[str]) -> bool:
    """Return whether a request may read them.

    Args:
        token: of the settings; empty is none.
        authorization: the header of that name.
        peer: the address of whoever is connected, whatever forwarding headers say.
        host: the Host header.
        headers: the names of all headers of the request.
    """
    if token:
        scheme, _, sent = authorization.partition(" ")
        is_it = hmac.compare_digest(sent.strip().encode("utf-8", "replace"), token.encode())
        return is_it and scheme.lower() == "bearer"
    name = host_name_in(host)
    return (
        _is_loopback(peer)
        and name is not None
        and is_loopback_name(name)
        and not any(each.lower().startswith(_FORWARDED) for each in headers)
    )


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:  # a Unix socket has no address, and nobody knows who is behind it
        return False
