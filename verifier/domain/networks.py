"""Client networks: what of an IP address tells one client from another.

Whoever has one address of a network has them all, as good as: a provider hands out whole IPv6 /64s, and a /24 of IPv4
is cheap. So limits count networks.
"""

from __future__ import annotations

import functools
import ipaddress
import re

# All clients whose address can't be read: a proxy sent rubbish, or the server listens on a Unix socket.
UNKNOWN = "unknown"
# Some proxies name the port as well: 192.0.2.7:1234, [2001:db8::7]:1234.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d+)?|(?P<v4>[0-9.]+):\d+")


@functools.lru_cache(maxsize=4096)
def client_network(text: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """Return the network of an address, such as `192.0.2.0/24`; UNKNOWN where it is none.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.7`) is one of IPv4, and a zone (`%eth0`) tells nothing.
    """
    found = _WITH_PORT.fullmatch(text)
    bare = (found["v6"] or found["v4"] or "") if found else text
    try:
        address = ipaddress.ip_address(bare.strip().partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
