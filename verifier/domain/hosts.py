"""Names of hosts, as a request's Host header and the settings write them.

By hand although werkzeug has `trusted_hosts`: that cuts an IPv6 literal at its first colon, and takes neither upper case nor
the dot at the end of a full name.
"""

from __future__ import annotations

import functools
import ipaddress
import re

MOST_OF_A_LABEL = 63  # RFC 1035, 2.3.4
# A name, an IPv4 address, or an IPv6 address in brackets; then maybe a port (RFC 9110, 7.2).
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,254})(?::([0-9]{1,5}))?", re.ASCII)


@functools.lru_cache(maxsize=256)
def host_name_in(header: str) -> str | None:
    """Return the normal form of the host that a Host header names, without its port; None where it names none."""
    found = _HOST.fullmatch(header)
    if found is None or int(found[2] or 0) > 65535:
        return None
    name = found[1].lower()
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    name = name.removesuffix(".")
    return name if all(0 < len(label) <= MOST_OF_A_LABEL for label in name.split(".")) else None


def is_loopback_name(name: str) -> bool:
    """Return whether a name in its normal form leads to this machine, whoever answers for names."""
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_hosts(text: str) -> tuple[str, ...]:
    """Read `name,name`; letters of other scripts are written as xn--. Raises ValueError."""
    hosts = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        ascii_part = part
        if not part.isascii():
            try:
                ascii_part = part.encode("idna").decode("ascii")
            except UnicodeError:
                raise ValueError(f"{part!r} is not a host's name") from None
        name = host_name_in(ascii_part)
        if name is None or re.search(r":\d+$", ascii_part):
            raise ValueError(
                f"{part!r} is not a host's name without a port, such as verify.example.org, 10.0.0.5 or [::1]"
            )
        hosts.append(name)
    return tuple(hosts)
