"""The relays as a setting: one by its parts, or a list of URLs in the order in which they are used.

    smtp://host:25, smtp+starttls://user:password@host:587, smtps://user:password@host:465?weight=3

Characters that mean something in a URL are written as %XX in names and passwords. With weights mails are
spread over the relays; without, the next one is used while those before it fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

Security = Literal["none", "starttls", "tls"]

SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}


@dataclass(frozen=True)
class MailRelay:
    """One SMTP relay; `weight` is None where relays are used in order."""

    host: str = "127.0.0.1"
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    security: Security = "none"
    weight: float | None = None


def parse_relays(text: str) -> tuple[MailRelay, ...]:
    """Read a list of relay URLs, separated by commas.

    Raises:
        ValueError: one of them is wrong; the message says which by its number and never holds a password.
    """
    urls = [url.strip() for url in text.split(",") if url.strip()]
    relays = tuple(_parse(url, number) for number, url in enumerate(urls, start=1))
    weighted = [relay for relay in relays if relay.weight is not None]
    if weighted and len(weighted) < len(relays):
        raise ValueError("give either each relay a weight or none")
    if len({(relay.host, relay.port) for relay in relays}) < len(relays):
        raise ValueError("the same host and port are there twice")
    return relays


def _parse(url: str, number: int) -> MailRelay:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"relay {number} is not a URL with a port from 1 to 65535") from None
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"relay {number} must be smtp://, smtp+starttls:// or smtps:// and name a host")
    security, default_port = SCHEMES[parts.scheme]
    return MailRelay(
        host=parts.hostname,
        port=port or default_port,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        security=security,
        weight=_weight(parts, number),
    )


def _weight(parts: SplitResult, number: int) -> float | None:
    options = parse_qs(parts.query)
    unknown = set(options) - {"weight"}
    if unknown:
        raise ValueError(f"relay {number} has an unknown option: {min(unknown)}")
    if "weight" not in options:
        return None
    try:
        weight = float(options["weight"][0])
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1_000_000:
        raise ValueError(f"relay {number} needs a weight greater than 0")
    return weight
