"""The mail with the code, as Flask-Mail builds it and as we send it.

Nothing can be injected: the service's name and the sender are settings and checked here and in
`workers.mail.addresses`; everything that changes from mail to mail is checked against a strict form
before it is filled in. The text is 7-bit or quoted-printable, the HTML ASCII with character
references, so that relays without 8BITMIME take the mail too.
"""

from __future__ import annotations

import re
import secrets
from email.charset import QP, Charset
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.text import MIMEText
from email.quoprimime import body_encode
from email.utils import quote

import flask_mail
from flask import Flask
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from workers.mail.addresses import Address
from workers.mail.template import Template

# "=?" would be taken for an encoded word in the subject.
_NAME = re.compile(r"(?!.*=\?)\S(.{0,58}\S)?")
_A_DATE = 1_000_000_000.0  # any; found again in the serialised message and replaced

SECONDS_ON_THE_WAY = 5
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}

_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP

_templates = Environment(
    loader=PackageLoader("workers.mail"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


class SevenBitMessage(flask_mail.Message):
    """Flask-Mail's message, with text that passes every relay: it would send UTF-8 as it is.

    Its two forms of the text stand in one multipart/alternative, without the multipart/mixed around it that is for
    attachments.
    """

    whole_before: str = ""
    """In quoted-printable a line is broken right before this, and never within it or the short rest of its line."""

    def _message(self) -> MIMEBase:
        message: MIMEBase = super()._message()
        parts = message.get_payload()
        if message.get_content_type() != "multipart/mixed" or not isinstance(parts, list) or len(parts) != 1:
            return message
        [alternative] = parts
        if not isinstance(alternative, MIMEBase):
            return message
        for name, value in message.raw_items():
            if name not in alternative:
                alternative.set_raw(name, value)
        alternative.policy = message.policy
        return alternative

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        body = text or ""
        if subtype == "html":
            body = body.encode("ascii", "xmlcharrefreplace").decode()
        if body.isascii():
            return MIMEText(body, subtype, "us-ascii")
        part = MIMEText("", subtype, _QUOTED_PRINTABLE)  # type: ignore[arg-type]  # takes a Charset too
        latin_1 = body.encode().decode("latin-1")
        pieces = latin_1.split(self.whole_before) if self.whole_before else [latin_1]
        part.set_payload(f"=\n{self.whole_before}".join(map(_in_quoted_printable, pieces)))
        return part


def build(
    sender: Address,
    service_name: str,
    *,
    site: str,
    to: str,
    message_id: str,
    code: str,
    minutes: str,
    date: float,
    page: str = "",
    pages_at: str = "",
) -> flask_mail.Message:
    """Make one whole message, as Flask-Mail's own class; `page` under the URL `pages_at` is where the code can be typed."""
    # The code stands behind the #, so it is in no request and in no log (RFC 3986, 3.5).
    link = f"{pages_at}{page}#code={code}" if pages_at else ""
    words = {"service_name": service_name, "site": site, "code": code, "minutes": minutes, "link": link}
    message = SevenBitMessage(
        subject=subject(code, service_name),
        recipients=[to],
        body=_templates.get_template("code.txt").render(words),
        html=_templates.get_template("code.html").render(words),
        # As text: of a tuple Flask-Mail forgets to quote the name.
        sender=f'"{quote(sender.name)}" <{sender.spec}>' if sender.name else sender.spec,
        date=date,
        extra_headers=HEADERS,
    )
    message.msgId = message_id
    message.whole_before = page
    return message


def serialise(message: flask_mail.Message) -> bytes:
    """Return the message as bytes; Flask-Mail asks an app for its settings, so it is given one."""
    app = Flask(__name__)
    flask_mail.Mail().init_app(app)
    with app.app_context():
        return message.as_bytes()


def subject(code: str, service_name: str) -> str:
    """Return the subject as people read it."""
    return f"{code} is your {service_name} code"


def life_in_words(expires_in_s: float) -> str:
    """Return the life left, in whole minutes; a few seconds on the way to the relay do not cost a minute of it."""
    minutes = max(1, int((expires_in_s + SECONDS_ON_THE_WAY) // 60))
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def message_template(sender: Address, service_name: str, site: str, pages_at: str = "") -> Template:
    """Build and serialise the one message that all others are made from that are asked for at a site.

    With `pages_at` the mails lead to the pages under that URL. Its tokens are such that nothing else in it can contain them. Raises ValueError for a name that cannot be used.
    """
    _check_name(service_name)
    _check_name(site)
    mark = secrets.token_hex(5)
    code, life, title = f"zc{mark}", f"zl{mark}", f"zs{mark}"
    to, message_id = f"zt{mark}@example.com", f"<zm{mark}@example.com>"
    page = f"zp{mark}" if pages_at else ""
    message = build(
        sender,
        service_name,
        site=site,
        to=to,
        message_id=message_id,
        code=code,
        minutes=life,
        date=_A_DATE,
        page=page,
        pages_at=pages_at,
    )
    counts = {
        "to": 1,
        "message id": 1,
        "subject": 1,
        "date": 1,
        "code": f"{message.body}{message.html}".count(code),
        "life": f"{message.body}{message.html}".count(life),
        **({"page": f"{message.body}{message.html}".count(page)} if page else {}),
    }
    message.subject = title
    raw = serialise(message)
    date = next(line[6:] for line in raw.split(b"\r\n") if line.startswith(b"Date: "))
    tokens = {"to": to, "message id": message_id, "subject": title, "code": code, "life": life}
    if page:
        tokens["page"] = page
    return Template(raw, {**{name: token.encode() for name, token in tokens.items()}, "date": date}, counts)


def subject_end(service_name: str) -> bytes:
    """Return what follows the code in the subject's header: as it is, or in encoded words, each on a line of its own."""
    name = service_name
    if not name.isascii():
        name = Header(name, "utf-8", maxlinelen=70).encode(linesep="\r\n")
    return f" is your {name} code".encode()


def _in_quoted_printable(latin_1: str) -> str:
    encoded: str = body_encode(latin_1)
    return encoded


def _check_name(service_name: str) -> None:
    if not _NAME.fullmatch(service_name) or not service_name.isprintable():
        raise ValueError(
            "The service's name must be one line of 1 to 60 characters, without '=?' "
            f"and spaces around it, not {service_name!r}."
        )
