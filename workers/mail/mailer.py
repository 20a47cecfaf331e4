"""From a code to a mail that a relay has taken.

`Mailer.render` makes the mail: subject, text and HTML from the templates, and the headers that tell
other machines what it is. A repeat of a delivery has the same Message-ID, so that mailboxes can fold
the two into one. `Mailer.deliver` has a relay take it. The message is built by Flask-Mail; see
`workers.mail.message` for how, and for why no line of it can be injected.
"""

from __future__ import annotations

import re
from email.utils import formatdate

from workers.mail.addresses import Address, parse_sender, recipient_address
from workers.mail.message import CodeMessage
from workers.smtp.answers import Outcome
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relays import Transport

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[0-9A-Za-z]{1,16}")


class Mailer:
    """Renders and delivers the mails of one service. Thread-safe."""

    def __init__(self, sender: str, service_name: str, relays: Transport) -> None:
        """`sender` is an address, or `Name <address>`. ValueError, in one sentence, for a bad setting."""
        self._sender: Address = parse_sender(sender)
        self._relays = relays
        self._message = CodeMessage(self._sender, service_name)
        self._date = (0, b"")

    def render(
        self,
        verification_id: str,
        delivery_number: int,
        to: str,
        code: str,
        *,
        expires_in_s: float,
        now: float,
    ) -> OutgoingMail:
        """Return the finished mail. `now` is a Unix time; the mail states the life of the code in whole minutes.

        Raises:
            ValueError: for an address, id or code that is none; they are checked long before.
        """
        if not _ID.fullmatch(verification_id) or not _CODE.fullmatch(code) or delivery_number < 0:
            raise ValueError("A mail needs a verification id, a delivery number and a code.")
        recipient = recipient_address(to)
        message_id = f"<{verification_id}.{delivery_number}@{self._sender.domain}>"
        return OutgoingMail(
            sender=self._sender.spec,
            recipient=recipient.spec,
            message_id=message_id,
            payload=self._message.fill(recipient.spec, message_id, code, expires_in_s, self._date_of(now)),
            needs_smtputf8=not recipient.spec.isascii(),
            code=code,
        )

    def deliver(self, mail: OutgoingMail) -> Outcome:
        """Have a relay take the mail; whatever happens there is an outcome."""
        return self._relays.send(mail)

    def _date_of(self, now: float) -> bytes:
        second = int(now)
        known, text = self._date
        if known != second:
            text = formatdate(second, localtime=True).encode()
            self._date = (second, text)
        return text
