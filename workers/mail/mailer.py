"""From a code to a finished mail: subject, text and HTML from the templates, headers for other machines.

A repeat of a delivery has the same Message-ID, so that mailboxes can fold the two into one. The mail names the site at
which it was asked for, since a person may be asked for a code by somebody else than they think. The message is
built by Flask-Mail; see `workers.mail.message` for how, and for why no line of it can be injected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple

from verifier.catalogues import SOURCE, catalogue_of, languages
from workers.mail.addresses import Address, parse_sender, recipient_address
from workers.mail.message import in_quoted_printable, life_in_words, message_template, subject_of
from workers.mail.template import Template
from workers.smtp.outgoing_mail import OutgoingMail

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[0-9A-Za-z]{1,16}")
_PAGE = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Each is built once. There are as many sites as names of API keys.
_MOST_TEMPLATES = 100


class Kind(NamedTuple):
    """What makes one template another: where its code is asked for, its language, and whether it leads to a page."""

    site: str
    language: str
    leads_to_page: bool


class Mailer:
    """Renders the mails of one service. Thread-safe."""

    def __init__(self, sender: str, service_name: str, site: str = "", pages_at: str = "") -> None:
        """Make the template.

        Args:
            sender: an address, or `Name <address>`.
            service_name: what the mails call the service.
            site: where people are asked for their codes; the service's name where it is empty.
            pages_at: the URL of our own pages, up to the name of a single one; mails lead to none where it is empty.

        Raises:
            ValueError: a setting is wrong.
        """
        self._sender: Address = parse_sender(sender)
        self._service_name = service_name
        self._site = site or service_name
        self._pages_at = pages_at
        self._templates: dict[Kind, Template] = {}
        self._subjects: dict[str, Callable[[bytes], bytes]] = {}
        for language in languages():
            self._subjects[language] = subject_of(service_name, language)
            for leads_to_page in {False, bool(pages_at)}:
                self._template_for(Kind(self._site, language, leads_to_page))
        self._date = (0, b"")

    def render(
        self,
        message_name: str,
        to: str,
        code: str,
        *,
        expires_in_s: float,
        now: float,
        site: str = "",
        page: str = "",
        language: str = "",
    ) -> OutgoingMail:
        """Return the finished mail. It states the life of the code in whole minutes.

        Args:
            message_name: names the mail in its Message-ID.
            to: the address.
            code: what the person is to type.
            expires_in_s: the life that the code has left, in seconds.
            now: a Unix time.
            site: where the code was asked for; our own where it is empty.
            page: the name of the page where the code can be typed; empty where there is none.
            language: of the mail; English where we do not speak it.

        Raises:
            ValueError: for an address, name or code that is none; they are checked long before.
        """
        if not _NAME.fullmatch(message_name) or not _CODE.fullmatch(code):
            raise ValueError("A mail needs a name and a code.")
        if page and not _PAGE.fullmatch(page):
            raise ValueError("The page of a mail needs a plain name.")
        recipient = recipient_address(to).spec
        message_id = f"<{message_name}@{self._sender.domain}>"
        language = language if language in self._subjects else SOURCE
        life = life_in_words(expires_in_s).in_language(catalogue_of(language))
        values = {
            "to": recipient.encode(),
            "message id": message_id.encode(),
            "subject": self._subjects[language](code.encode()),
            "code": code.encode(),
            "life": in_quoted_printable(life),
            "life in HTML": life.encode("ascii", "xmlcharrefreplace"),
            "date": self._date_of(now),
            "page": page.encode(),
        }
        return OutgoingMail(
            sender=self._sender.spec,
            recipient=recipient,
            message_id=message_id,
            payload=self._template_for(Kind(site or self._site, language, bool(page))).fill(values),
            needs_smtputf8=not recipient.isascii(),
            code=code,
        )

    def _template_for(self, kind: Kind) -> Template:
        template = self._templates.get(kind)
        if template is None:
            pages_at = self._pages_at if kind.leads_to_page else ""
            template = message_template(self._sender, self._service_name, kind.site, pages_at, kind.language)
            if len(self._templates) < _MOST_TEMPLATES:
                self._templates[kind] = template
        return template

    def _date_of(self, now: float) -> bytes:
        second = int(now)
        known, text = self._date
        if known != second:
            text = formatdate(second, localtime=True).encode()
            self._date = (second, text)
        return text
