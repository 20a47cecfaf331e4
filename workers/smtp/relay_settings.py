"""How to reach one relay."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from verifier.settings import Security

log = logging.getLogger(__name__)

_OWN_MACHINE = ("127.", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How to reach one relay.

    `connect_timeout_s` bounds the TCP connection and each TLS handshake, `command_timeout_s` the wait
    for each reply, `answer_timeout_s` the wait for the reply to the final dot (longer: giving up there
    may mean a second mail), `total_timeout_s` the whole of `deliver`; only a name lookup or a connection
    under way at its end may outlast it, and no mail leaves after it. A connection that was idle for
    `noop_after_s` is asked with NOOP whether it is still alive; after `max_idle_s` it is closed.
    """

    name: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    security: Security = "none"
    ca_file: Path | None = None
    verify_certificates: bool = True
    connect_timeout_s: float = field(kw_only=True)
    command_timeout_s: float = field(kw_only=True)
    answer_timeout_s: float = 30.0
    total_timeout_s: float = 60.0
    max_mails_per_connection: int = 100
    noop_after_s: float = 5.0
    max_idle_s: float = 20.0

    def __post_init__(self) -> None:
        """Raise ValueError for what no relay can be reached with."""
        if not self.host or not 0 < self.port < 65536:
            raise ValueError(f"Relay {self.name}: a host and a port from 1 to 65535 are needed.")
        if self.security not in get_args(Security):
            raise ValueError(f"Relay {self.name}: security is none, starttls or tls, not {self.security}.")


def tls_context(settings: RelaySettings) -> ssl.SSLContext | None:
    """Return the TLS rules for this relay, None without TLS. Raises ValueError when its CA file cannot be read."""
    if settings.security == "none":
        if settings.username and not settings.host.startswith(_OWN_MACHINE):
            log.warning(
                "Relay %s: the password is sent without encryption. Use STARTTLS or TLS.", settings.name
            )
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"Relay {settings.name}: cannot read the CA file {settings.ca_file}.") from error
    if not settings.verify_certificates:
        log.warning(
            "Relay %s: certificate verification is OFF. Anybody on the way can read the mails, "
            "the codes and the password. Set a CA file instead.",
            settings.name,
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
