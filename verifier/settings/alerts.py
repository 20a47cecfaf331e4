"""The settings of alerts and of the canary. The webhook's URL is a secret: nothing in here shows it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from verifier.domain.addresses import normalise_address
from verifier.domain.errors import InvalidAddress
from verifier.domain.hosts import is_loopback_name


@dataclass(frozen=True)
class AlertSettings:
    """Whom to tell, and whether mails of our own show that mail goes out."""

    webhook: str = field(default="", repr=False)
    """Where alerts are posted to; empty: nobody is told."""
    canary_address: str = ""
    """The mailbox of the canary; empty: there is none."""
    canary_interval_s: float = 60

    @property
    def canary_late_s(self) -> float | None:
        """When the last canary is older than this, mail does not go out; None without one."""
        return 2 * self.canary_interval_s + 30 if self.canary_address else None


def webhook_url(text: str, *, plain_allowed: bool) -> str:
    """Read a webhook's URL; an empty text is none. Raises ValueError, which never holds the URL."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://hooks.example.org/...") from None
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or not text.isascii()
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("must be a URL such as https://hooks.example.org/...")
    if parts.username is not None:
        raise ValueError(
            "must not hold a user or password before the host; put the token into the path or query"
        )
    if parts.scheme == "http" and not plain_allowed and not _is_this_machine(host):
        raise ValueError(
            "must be https, since whoever listens could read the URL and post there, too; where that does not matter, set "
            "VERIFIER_ALERT_WEBHOOK_PLAIN=true"
        )
    return text


def canary_address(text: str) -> str:
    """Read the canary's address; an empty text is none. Raises ValueError."""
    try:
        return normalise_address(text) if text else ""
    except InvalidAddress as error:
        raise ValueError(str(error)) from None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return is_loopback_name(host)
