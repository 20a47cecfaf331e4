"""Addresses as a mail needs them: one plain address, its domain in ASCII.

A domain with other letters goes out in its ASCII form (`xn--...`), which every relay takes. A local
part with other letters has no such form: that mail needs a relay with SMTPUTF8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import getaddresses

from email_validator import EmailNotValidError, validate_email

# One address and nothing else: no spaces, quotes, comments, lists, brackets or control characters.
_PLAIN = re.compile(r'[^\s@<>()\[\],:;"\\\x00-\x20\x7f-\x9f]+@[^\s@<>()\[\],:;"\\\x00-\x20\x7f-\x9f]+')
_LONGEST = 254


@dataclass(frozen=True, slots=True)
class Address:
    """`spec` is local@domain, the domain in ASCII; `name` is what people read, perhaps empty."""

    spec: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.spec.rpartition("@")[2]


def recipient_address(text: str) -> Address:
    """Return the address to write to. Raises ValueError unless it is exactly one plain address."""
    if len(text) > _LONGEST or not _PLAIN.fullmatch(text):
        raise ValueError("The recipient is not one plain email address.")
    if text.isascii():
        return Address(text)
    local, _, domain = text.rpartition("@")
    return Address(f"{local}@{_ascii_domain(domain)}")


def parse_sender(setting: str) -> Address:
    """Read the sender's address and name from a setting. Raises ValueError, in one sentence, when it is wrong."""
    addresses = getaddresses([setting])
    name, spec = addresses[0] if len(addresses) == 1 else ("", "")
    if not setting.isprintable() or not _PLAIN.fullmatch(spec) or len(spec) > _LONGEST:
        raise ValueError(f"The sender must be an address or 'Name <address>' on one line, not {setting!r}.")
    local, _, domain = spec.rpartition("@")
    if not local.isascii():
        raise ValueError("The sender's address must be ASCII before the @, for every relay to take it.")
    return Address(f"{local}@{_ascii_domain(domain)}", name)


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return validate_email(f"x@{domain}", check_deliverability=False).ascii_domain
    except EmailNotValidError as error:
        raise ValueError("The address's domain is not a valid name.") from error
