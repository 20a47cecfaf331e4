"""From a code to a finished mail: subject, text and HTML from the templates, headers for other machines.

A repeat of a delivery has the same Message-ID, so that mailboxes can fold the two into one. The message is
built by Flask-Mail; see `workers.mail.message` for how, and for why no line of it can be injected.
"""

from __future__ import annotations

import re
from email.utils import formatdate

from workers.mail.addresses import Address, parse_sender, recipient_address
from workers.mail.message import life_in_words, message_template, subject_end
from workers.smtp.outgoing_mail import OutgoingMail

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[0-9A-Za-z]{1,16}")


class Mailer:
    """Renders the mails of one service. Thread-safe."""

    def __init__(self, sender: str, service_name: str) -> None:
        """Make the template; `sender` is an address, or `Name <address>`. Raises ValueError for a bad setting."""
        self._sender: Address = parse_sender(sender)
        self._template = message_template(self._sender, service_name)
        self._subject_end = subject_end(service_name)
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
        recipient = recipient_address(to).spec
        message_id = f"<{verification_id}.{delivery_number}@{self._sender.domain}>"
        values = {
            "to": recipient.encode(),
            "message id": message_id.encode(),
            "subject": code.encode() + self._subject_end,
            "code": code.encode(),
            "life": life_in_words(expires_in_s).encode(),
            "date": self._date_of(now),
        }
        return OutgoingMail(
            sender=self._sender.spec,
            recipient=recipient,
            message_id=message_id,
            payload=self._template.fill(values),
            needs_smtputf8=not recipient.isascii(),
            code=code,
        )

    def _date_of(self, now: float) -> bytes:
        second = int(now)
        known, text = self._date
        if known != second:
            text = formatdate(second, localtime=True).encode()
            self._date = (second, text)
        return text
