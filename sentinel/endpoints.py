"""An endpoint: where one Redis or Sentinel process listens."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

_FOREIGN = re.compile(r"[/@\s]")


class Endpoint(NamedTuple):
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, with an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, default_port: int) -> Endpoint:
    """Read `host`, `host:port` or `[ipv6]:port`.

    Raises:
        ValueError: the text is no endpoint; the message says why.
    """
    text = text.strip()
    if _FOREIGN.search(text):  # not quoted: a URL may hold a password
        raise ValueError("an endpoint is host:port, without a scheme, a login or blanks in it")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port_text = rest.removeprefix(":") if bracket else "?"
    elif text.count(":") > 1:
        host, port_text = text, ""
    else:
        host, _, port_text = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} names no host")
    if not port_text:
        return Endpoint(host, default_port)
    if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
        raise ValueError(f"{text!r} is not host:port with a port from 1 to 65535")
    return Endpoint(host, int(port_text))


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def addresses_of(endpoint: Endpoint) -> set[Endpoint]:
    """Return the addresses an endpoint stands for; itself where its name can't be resolved."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError:
        return {endpoint}
    return {Endpoint(str(address[0]), endpoint.port) for *_, address in found}
