"""A finished mail, ready for a relay."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# An address in an SMTP command: nothing that ends the command or the address, no control characters.
_ENVELOPE_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """Envelope, and the message as bytes with CRLF line ends.

    `code` is only there to be blanked out of a relay's reply; neither it nor the payload is ever in a
    repr. Raises ValueError for an envelope address that could end an SMTP command.
    """

    sender: str
    recipient: str
    message_id: str
    payload: bytes = field(repr=False)
    needs_smtputf8: bool = False
    code: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what could smuggle a command into the dialogue."""
        for address in (self.sender, self.recipient):
            if not _ENVELOPE_ADDRESS.fullmatch(address):
                raise ValueError("An envelope address must be one address without spaces or brackets.")
