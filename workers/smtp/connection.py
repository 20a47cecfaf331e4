"""One relay, one connection: Flask-Mail's connection, made fit for work.

`RelaySettings` says how to reach a relay, `OutgoingMail` is a finished mail, and `RelayConnection`
hands one to the other. It differs from Flask-Mail's own in that it stays open between mails, has
timeouts everywhere, verifies certificates, pipelines where the relay allows it, and answers with an
`Outcome` instead of raising: whatever a relay does is an outcome, only a caller's mistake is an
exception. Not for several threads at once; `workers.smtp.relays` shares connections out.
"""

import logging
import math
import re
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import flask_mail

from workers.smtp.answers import Kind, Outcome, Stage, outcome_of_error
from workers.smtp.dialogue import RelayDialogue
from workers.smtp.transaction import Transaction

__all__ = ["Kind", "Outcome", "OutgoingMail", "RelayConnection", "RelaySettings", "Stage", "tls_context"]

logger = logging.getLogger(__name__)

Security = Literal["none", "starttls", "tls"]

_OWN_MACHINE = ("127.", "localhost", "::1")

# An address in an SMTP command: nothing that ends the command or the address, no control characters.
_ENVELOPE_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How to reach one relay. All times are seconds.

    `connect_timeout_s` bounds the TCP connection and each TLS handshake, `command_timeout_s` the wait
    for each reply, `answer_timeout_s` the wait for the reply to the final dot (longer: giving up there
    may mean a second mail), `total_timeout_s` the whole of `deliver`; only a name lookup or a connection under way at its
    end may outlast it, and no mail leaves after it. `doubt_after_s` is how long a connection
    may stand unused before it is asked whether it is still alive, `max_idle_s` before it is replaced.
    """

    name: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    security: Security = "none"
    ca_file: Path | None = None
    verify_certificates: bool = True
    connect_timeout_s: float = 5.0
    command_timeout_s: float = 15.0
    answer_timeout_s: float = 30.0
    total_timeout_s: float = 60.0
    max_mails_per_connection: int = 100
    doubt_after_s: float = 5.0
    max_idle_s: float = 20.0
    local_hostname: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no relay can be reached with."""
        if not self.host or not 0 < self.port < 65536:
            raise ValueError(f"Relay {self.name}: a host and a port from 1 to 65535 are needed.")
        if self.security not in ("none", "starttls", "tls"):
            raise ValueError(f"Relay {self.name}: security is none, starttls or tls, not {self.security}.")


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A finished mail: envelope, and the message as bytes with CRLF line ends.

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


def tls_context(settings: RelaySettings) -> ssl.SSLContext | None:
    """The TLS rules for this relay, None without TLS; ValueError when its CA file cannot be read."""
    if settings.security == "none":
        if settings.username and not settings.host.startswith(_OWN_MACHINE):
            logger.warning("Relay %s: the password crosses the network in the clear.", settings.name)
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"Relay {settings.name}: cannot read the CA file {settings.ca_file}.") from error
    if not settings.verify_certificates:
        logger.warning(
            "Relay %s: certificate verification is OFF. Anybody on the way can read the mails, "
            "the codes and the password. Set a CA file instead.",
            settings.name,
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class RelayConnection(flask_mail.Connection):
    """A connection to one relay that outlives its mails. `deliver` opens it when it has to."""

    host: RelayDialogue | None

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None = None) -> None:
        """`context` comes from `tls_context`, made once for all connections to the relay."""
        super().__init__(_mail_state(settings))
        self.settings = settings
        self._context = context
        self._used_at = 0.0
        self._ends_at = math.inf

    def deliver(self, mail: OutgoingMail, ends_at: float = math.inf) -> Outcome:
        """Hand the mail over; never raises for anything the relay or the network does.

        The final dot is never sent after the total timeout, nor after `ends_at` of `time.monotonic()`:
        whoever holds a lease for as long knows that no copy leaves once it is over.
        """
        self._ends_at = min(ends_at, time.monotonic() + self.settings.total_timeout_s)
        reused = self._still_usable()
        transaction, outcome = self._attempt(mail, fresh=not reused)
        if reused and transaction is not None and transaction.found_dead:
            # A relay may close an idle connection at any time; nothing of this mail was taken yet.
            _, outcome = self._attempt(mail, fresh=True)
        return outcome

    def configure_host(self) -> RelayDialogue:
        """Connect, greet, secure and log in; raises OSError or ValueError, and leaves nothing open."""
        dialogue = RelayDialogue(self.settings, self._context)
        dialogue.begin(self._ends_at)
        try:
            dialogue.open()
        except BaseException:
            dialogue.close()
            raise
        return dialogue

    def close(self) -> None:
        """Say QUIT and close, within a second, whatever the relay answers."""
        if self.host is not None:
            self.host.quit()
            self.host = None

    def idle_too_long(self, now: float) -> bool:
        """Whether an unused connection should be closed; `now` is `time.monotonic()`."""
        return now - self._used_at > self.settings.max_idle_s

    def _attempt(self, mail: OutgoingMail, *, fresh: bool) -> tuple[Transaction | None, Outcome]:
        if fresh:
            self.close()
            try:
                self.host = self.configure_host()
            except (OSError, ValueError) as error:
                return None, outcome_of_error(Stage.CONNECT, error, self.settings.name)
            self.num_emails = 0
        assert self.host is not None  # noqa: S101 (said for the type checker: reused or just opened)
        self.host.begin(self._ends_at)
        transaction = Transaction(self.host, mail, self.settings.name)
        outcome = transaction.run()
        self._after_use()
        return transaction, outcome

    def _after_use(self) -> None:
        self.num_emails += 1
        self._used_at = time.monotonic()
        if self.host is not None and self.host.sock is None:
            self.host = None

    def _still_usable(self) -> bool:
        if self.host is None or self.num_emails >= self.settings.max_mails_per_connection:
            return False
        idle_s = time.monotonic() - self._used_at
        if idle_s > self.settings.max_idle_s or self.host.has_unexpected_words():
            return False
        return idle_s <= self.settings.doubt_after_s or self.host.answers()


def _mail_state(settings: RelaySettings) -> flask_mail.Mail:
    """The state Flask-Mail's connection reads; debug stays 0, so that no dialogue is printed."""
    mail = flask_mail.Mail()
    mail.state = mail.init_mail(
        {
            "MAIL_SERVER": settings.host,
            "MAIL_PORT": settings.port,
            "MAIL_USE_TLS": settings.security == "starttls",
            "MAIL_USE_SSL": settings.security == "tls",
            "MAIL_DEBUG": 0,
            "MAIL_SUPPRESS_SEND": False,
        }
    )
    return mail
