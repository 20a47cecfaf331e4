"""The mail with the code, as Flask-Mail builds it and as we send it.

Nothing can be injected: the service's name and the sender are settings and checked here and in
`workers.mail.addresses`; everything that changes from mail to mail is checked against a strict form
before it is filled in. The text is 7-bit or quoted-printable, the HTML ASCII with character
references, so that relays without 8BITMIME take the mail too.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable
from email.charset import QP, Charset
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.text import MIMEText
from email.quoprimime import body_encode
from email.utils import quote

import flask_mail
from flask import Flask
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from verifier.catalogues import SOURCE, catalogue_of
from verifier.domain.words import Words, counted, words
from workers.mail.addresses import Address
from workers.mail.template import Template

# "=?" would be taken for an encoded word in the subject.
_NAME = re.compile(r"(?!.*=\?)\S(.{0,58}\S)?")
_A_DATE = 1_000_000_000.0  # any; found again in the serialised message and replaced

SECONDS_ON_THE_WAY = 5
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}

_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


class SevenBitMessage(flask_mail.Message):
    """Flask-Mail's message, with text that passes every relay: it would send UTF-8 as it is.

    Its two forms of the text stand in one multipart/alternative, without the multipart/mixed around it that is for
    attachments.
    """

    whole: tuple[str, ...] = ()
    """In quoted-printable a line is broken right before and after each of these, and never within."""

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
        pieces = re.split(f"({'|'.join(map(re.escape, self.whole))})", latin_1) if self.whole else [latin_1]
        part.set_payload(
            "".join(f"=\n{each}=\n" if each in self.whole else body_encode(each) for each in pieces)
        )
        return part


def build(
    sender: Address,
    service_name: str,
    *,
    site: str,
    to: str,
    message_id: str,
    code: str,
    life: str,
    life_in_html: str,
    date: float,
    page: str = "",
    pages_at: str = "",
    language: str = SOURCE,
) -> flask_mail.Message:
    """Make one whole message, as Flask-Mail's own class; `page` under the URL `pages_at` is where the code can be typed."""
    # The code stands behind the #, so it is in no request and in no log (RFC 3986, 3.5).
    link = f"{pages_at}{page}#code={code}" if pages_at else ""
    values = {"service_name": service_name, "site": site, "code": code, "link": link, "language": language}
    templates = _templates_in(language)
    message = SevenBitMessage(
        subject=subject(code, service_name, language),
        recipients=[to],
        body=templates.get_template("code.txt").render(values, life=life),
        html=templates.get_template("code.html").render(values, life=life_in_html),
        # As text: of a tuple Flask-Mail forgets to quote the name.
        sender=f'"{quote(sender.name)}" <{sender.spec}>' if sender.name else sender.spec,
        date=date,
        extra_headers=HEADERS,
    )
    message.msgId = message_id
    message.whole = tuple(each for each in (code, life, page) if each)
    return message


def serialise(message: flask_mail.Message) -> bytes:
    """Return the message as bytes; Flask-Mail asks an app for its settings, so it is given one."""
    app = Flask(__name__)
    flask_mail.Mail().init_app(app)
    with app.app_context():
        return message.as_bytes()


def subject(code: str, service_name: str, language: str = SOURCE) -> str:
    """Return the subject as people read it."""
    sentence = words("%(code)s is your %(service_name)s code", code=code, service_name=service_name)
    return sentence.in_language(catalogue_of(language))


def life_in_words(expires_in_s: float) -> Words:
    """Return the life left, in whole minutes; a few seconds on the way to the relay do not cost a minute of it."""
    minutes = max(1, int((expires_in_s + SECONDS_ON_THE_WAY) // 60))
    return counted("%(count)s minute", "%(count)s minutes", minutes)


def message_template(
    sender: Address, service_name: str, site: str, pages_at: str = "", language: str = SOURCE
) -> Template:
    """Build and serialise the one message that all others are made from that are asked for at a site.

    With `pages_at` the mails lead to the pages under that URL. Its tokens are such that nothing else in it can contain them. Raises ValueError for a name that cannot be used.
    """
    _check_name(service_name)
    _check_name(site)
    mark = secrets.token_hex(5)
    code, life, life_in_html, title = f"zc{mark}", f"zl{mark}", f"zh{mark}", f"zs{mark}"
    to, message_id = f"zt{mark}@example.com", f"<zm{mark}@example.com>"
    page = f"zp{mark}" if pages_at else ""
    message = build(
        sender,
        service_name,
        site=site,
        to=to,
        message_id=message_id,
        code=code,
        life=life,
        life_in_html=life_in_html,
        date=_A_DATE,
        page=page,
        pages_at=pages_at,
        language=language,
    )
    counts = {
        "to": 1,
        "message id": 1,
        "subject": 1,
        "date": 1,
        "code": f"{message.body}{message.html}".count(code),
        "life": f"{message.body}".count(life),
        "life in HTML": f"{message.html}".count(life_in_html),
        **({"page": f"{message.body}{message.html}".count(page)} if page else {}),
    }
    message.subject = title
    raw = serialise(message)
    date = next(line[6:] for line in raw.split(b"\r\n") if line.startswith(b"Date: "))
    tokens = {
        "to": to,
        "message id": message_id,
        "subject": title,
        "code": code,
        "life": life,
        "life in HTML": life_in_html,
    }
    if page:
        tokens["page"] = page
    return Template(raw, {**{name: token.encode() for name, token in tokens.items()}, "date": date}, counts)


def subject_of(service_name: str, language: str = SOURCE) -> Callable[[bytes], bytes]:
    """Return what makes the subject's header of a code: as it is, or in encoded words, each on a line of its own.

    Raises ValueError where a catalogue lets words touch the code: an encoded word needs a blank beside it (RFC 2047, 5).
    """
    mark = "zc"
    before, _, after = subject(mark, service_name, language).partition(mark)
    if (before and not before.endswith(" ")) or (after and not after.startswith(" ")):
        raise ValueError(f"The subject in {language!r} has no blank beside the code.")
    start, end = _in_header(before), _in_header(after)
    return lambda code: start + code + end


def _in_header(text: str) -> bytes:
    """Return a part of the subject that has blanks at its edges as it has."""
    bare = text.strip(" ")
    if bare.isascii():
        return text.encode()
    encoded = Header(bare, "utf-8", maxlinelen=70).encode(linesep="\r\n")
    return text.replace(bare, encoded).encode()


def in_quoted_printable(text: str) -> bytes:
    """Return a short text as it stands in a line of quoted-printable; ASCII is the same in any encoding."""
    return text.encode() if text.isascii() else str(body_encode(text.encode().decode("latin-1"))).encode()


@functools.cache
def _templates_in(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("workers.mail"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(catalogue_of(language), newstyle=True)  # type: ignore[attr-defined]  # the extension's
    return environment


def _check_name(service_name: str) -> None:
    if not _NAME.fullmatch(service_name) or not service_name.isprintable():
        raise ValueError(
            "The service's name must be one line of 1 to 60 characters, without '=?' "
            f"and spaces around it, not {service_name!r}."
        )
