"""Who asks: a browser on the pages, the holder of an API key, or anybody where the API is open.

A verification is kept with the mark of who started it. From that follows who may look at it, and who may do more with it
than type its code.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from verifier.domain.errors import StartedElsewhere, VerificationNotFound
from verifier.domain.verifications import Verification


class CallerKind(StrEnum):
    """By which door somebody comes."""

    PAGE = "page"
    KEY = "key"
    OPEN = "open"


@dataclass(frozen=True)
class Caller:
    """Somebody who asks. Two with the same mark are the same."""

    kind: CallerKind
    name: str = ""
    """The name of the API key, or what tells a browser from others."""
    client_ip: str = ""
    """The address that a browser comes from; behind a backend that holds a key that of the person, where it named one."""

    @property
    def mark(self) -> str:
        """What is kept with a verification that they start."""
        return f"{self.kind}:{self.name}"

    def started(self, verification: Verification) -> bool:
        """Return whether they started it; one that says nothing of it was started under an older release."""
        return verification.started_by in {"", self.mark}

    def may_see(self, verification: Verification) -> bool:
        """Return whether they may know of it: any browser may be led to a page, to type the code there."""
        return self.started(verification) or (
            self.kind is CallerKind.PAGE and any_page_shows(verification.started_by)
        )


def key_name_in(mark: str) -> str:
    """Return the name of the API key in a mark; empty where it is another's."""
    kind, _, name = mark.partition(":")
    return name if kind == CallerKind.KEY else ""


def any_page_shows(mark: str) -> bool:
    """Return whether a page shows a verification with this mark, in whatever browser; see `Caller.may_see`."""
    return not mark or mark.startswith(f"{CallerKind.PAGE}:")


def browser(secret: str) -> Caller:
    """Return the caller for a browser, by what it keeps secret in its cookie; Redis gets a digest of it only."""
    return Caller(CallerKind.PAGE, hashlib.sha256(secret.encode()).hexdigest()[:24])


def require_seen(caller: Caller | None, verification: Verification) -> None:
    """Raise VerificationNotFound where the caller may not know of it. None is the program itself."""
    if caller is not None and not caller.may_see(verification):
        raise VerificationNotFound


def require_started(caller: Caller | None, verification: Verification) -> None:
    """Raise VerificationNotFound, or StartedElsewhere where it may be seen but not changed by the caller."""
    require_seen(caller, verification)
    if caller is not None and not caller.started(verification):
        raise StartedElsewhere


def read_client_ip(text: str) -> str:
    """Return an IPv4 or IPv6 address in its normal form; one of IPv4 in IPv6 is one of IPv4.

    Raises:
        ValueError: it is none, or one that only means something on its own host (with a zone).
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return str(address.ipv4_mapped or address)
    return str(address)
