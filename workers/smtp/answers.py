"""What an SMTP relay's answer, or its silence, means for a mail.

Pure: a stage of the dialogue and a reply (or an exception) come in, an `Outcome` goes out. Whoever
delivers acts on the outcome's kind alone; nobody else reads reply codes.

| stage        | 2xx (3xx at DATA) | 4xx      | 5xx                                              |
|--------------|-------------------|----------|--------------------------------------------------|
| connect      | go on             | deferred | the relay refuses us (greeting, EHLO, TLS, login) |
| mail         | go on             | deferred | the relay refuses us (our sender)                |
| rcpt, data   | go on             | deferred | rejected, unless the reply is about us           |
| body         | sent              | deferred | rejected, unless the reply is about us           |

A 5xx at rcpt or later is "about us" when its code or its enhanced status (RFC 3463, RFC 7372) names
the session, the login, the sender or the right to relay: a missing login must not tell every person
that their address is wrong.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

REPLY_LIMIT = 200
CLOSING = 421


class Kind(StrEnum):
    """What becomes of the delivery."""

    SENT = "sent"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    RELAY_REFUSES_US = "relay_refuses_us"


class Stage(StrEnum):
    """How far the dialogue came; connect covers everything up to and including the login."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt to hand over one mail ended.

    `code` is the relay's three digits, None when it gave none (silence, a lost connection, or a
    limit found on our side). `reply` is for operators: printable, at most 200 characters.
    `ambiguous` is true when the connection was lost after the final dot and before its answer: the
    relay may have the mail. `cooldown_left_s` is set where no relay was asked, because each failed a moment
    ago: the seconds until the first of them may be asked again.
    """

    kind: Kind
    stage: Stage
    relay: str = ""
    code: int | None = None
    reply: str = ""
    ambiguous: bool = False
    cooldown_left_s: float | None = None

    @property
    def relay_failed(self) -> bool:
        """Whether the relay itself failed, whoever the mail was for."""
        if self.kind in (Kind.SENT, Kind.REJECTED):
            return False
        if self.stage in (Stage.CONNECT, Stage.MAIL):
            return True
        # 4.3.x is RFC 3463's "mail system status": a full disk, a queue that takes no mail.
        return self.code in (None, CLOSING) or enhanced_status(self.reply).startswith("4.3.")

    @property
    def next_relay_may_help(self) -> bool:
        """Whether another relay may take the mail at once, without a second copy."""
        if self.ambiguous or self.kind is Kind.SENT:
            return False
        found_here = self.kind is Kind.REJECTED and self.code is None
        return found_here or self.relay_failed or self.kind is Kind.RELAY_REFUSES_US


def accepted(stage: Stage, code: int) -> bool:
    """Return whether the dialogue may go on after this code."""
    return code // 100 == (3 if stage is Stage.DATA else 2)


def outcome_of_reply(stage: Stage, code: int, reply: bytes | str, relay: str) -> Outcome:
    """Read a relay's reply: a refusal at any stage, or the answer to the final dot."""
    words = printable(reply)
    kind = _kind_of_reply(stage, code, words)
    understood = 200 <= code <= 599 and code // 100 != 3
    return Outcome(
        kind,
        stage,
        relay,
        code if code >= 0 else None,
        words,
        # After the final dot an answer nobody can read may have been a yes.
        ambiguous=stage is Stage.BODY and not understood,
    )


def outcome_of_error(stage: Stage, error: BaseException, relay: str, *, dot_sent: bool = False) -> Outcome:
    """Read an exception of the dialogue; a reply hidden in its chain counts before the exception."""
    answer = _answer_in(error)
    if answer is not None:
        return outcome_of_reply(stage, answer.smtp_code, answer.smtp_error, relay)
    kind = Kind.RELAY_REFUSES_US if stage is Stage.CONNECT and _is_about_us(error) else Kind.DEFERRED
    return Outcome(kind, stage, relay, None, _in_words(error), ambiguous=dot_sent)


def smtputf8_missing(relay: str) -> Outcome:
    """Return the outcome for an address that needs SMTPUTF8, at a relay that does not offer it."""
    words = "this address needs a relay that offers SMTPUTF8, and this one does not"
    return Outcome(Kind.REJECTED, Stage.MAIL, relay, None, words)


def printable(reply: bytes | str) -> str:
    """Return one line of at most 200 printable characters."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    text = " ".join(text[: 4 * REPLY_LIMIT].split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text[:REPLY_LIMIT]


def enhanced_status(reply: str) -> str:
    """Return the reply's enhanced status, such as 5.1.1, or an empty string."""
    found = _ENHANCED.match(reply)
    return found.group() if found else ""


_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")

# Bad sequence, and the replies about authentication: nothing a recipient could cause.
_CODES_ABOUT_US = frozenset({503, 530, 534, 535, 538})

# RFC 3463, 4954 and 7372: our sender, our login, our DKIM, SPF and reverse DNS.
_STATUS_ABOUT_US = frozenset(
    {"5.1.7", "5.1.8", "5.7.8", "5.7.9", "5.7.11", "5.7.54"} | {f"5.7.{n}" for n in range(20, 28)}
)
_MAY_NOT_RELAY = re.compile(r"\brelay(ing)?\b", re.IGNORECASE)


def _kind_of_reply(stage: Stage, code: int, reply: str) -> Kind:
    if code // 100 == 5:
        about_us = stage in (Stage.CONNECT, Stage.MAIL) or _names_us(code, reply)
        return Kind.RELAY_REFUSES_US if about_us else Kind.REJECTED
    if stage is Stage.BODY and accepted(stage, code):
        return Kind.SENT
    return Kind.DEFERRED


def _names_us(code: int, reply: str) -> bool:
    status = enhanced_status(reply)
    if code in _CODES_ABOUT_US or status in _STATUS_ABOUT_US:
        return True
    # "554 5.7.1 Relay access denied": 5.7.1 alone may be the recipient's own policy.
    return status in ("", "5.7.1") and _MAY_NOT_RELAY.search(reply) is not None


def _answer_in(error: BaseException) -> smtplib.SMTPResponseException | None:
    """Return the first reply in an exception's chain: 421 and a close leave it in `__context__`."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, smtplib.SMTPResponseException):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _is_about_us(error: BaseException) -> bool:
    """Return whether no waiting mends it: the certificate, TLS or login not on offer, a wrong setting."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | smtplib.SMTPServerDisconnected):
        return False
    if isinstance(error, ssl.SSLError | smtplib.SMTPNotSupportedError | ValueError):
        return True
    return type(error) is smtplib.SMTPException  # login: no mechanism in common


def _in_words(error: BaseException) -> str:
    """Return the exception's cause in our own words: its text may hold parts of the dialogue."""
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, ssl.SSLCertVerificationError):
        return printable(f"the relay's certificate was not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return printable(f"TLS failed: {getattr(error, 'reason', None) or 'no reason given'}")
    if isinstance(error, OSError) and error.strerror:
        return printable(f"connection failed: {error.strerror}")
    return "the relay's answer was not understood"


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (smtplib.SMTPServerDisconnected, "the relay closed the connection"),
    (smtplib.SMTPNotSupportedError, "the relay offers no STARTTLS or no login where one is set"),
    (smtplib.SMTPException, "no way to log in that both sides know"),
    (socket.gaierror, "the relay's name could not be resolved"),
    (ConnectionRefusedError, "connection refused"),
    (UnicodeError, "a host name or a password has characters that SMTP cannot carry"),
)
