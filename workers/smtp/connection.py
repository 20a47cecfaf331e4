"""One connection to one relay: Flask-Mail's connection, made fit for a worker.

It differs from Flask-Mail's own in that it stays open between mails, has timeouts everywhere, verifies
certificates, pipelines where the relay allows it, and answers with an `Outcome` instead of raising: whatever
a relay does is an outcome, only a caller's mistake is an exception. Not for several threads at once;
`workers.smtp.connection_pool` shares connections out.
"""

from __future__ import annotations

import math
import ssl
import time

import flask_mail

from workers.smtp.answers import Outcome, Stage, outcome_of_error
from workers.smtp.dialogue import RelayDialogue
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.transaction import Transaction


class RelayConnection(flask_mail.Connection):
    """A connection to one relay that outlives its mails. `deliver` opens it when it has to."""

    host: RelayDialogue | None

    def __init__(self, settings: RelaySettings, context: ssl.SSLContext | None = None) -> None:
        """`context` comes from `tls_context`, made once for all connections to the relay."""
        # Without an app it has no settings, and none is read: `configure_host` is ours. So no dialogue is printed either.
        super().__init__(flask_mail.Mail())
        self.settings = settings
        self._context = context
        self._used_at = 0.0
        self._ends_at = math.inf

    def deliver(self, mail: OutgoingMail, ends_at: float = math.inf) -> Outcome:
        """Send the mail; never raises for anything the relay or the network does.

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
        """Connect, greet, secure and log in; raises OSError or ValueError, and then leaves nothing open."""
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
        """Return whether an unused connection should be closed; `now` is `time.monotonic()`."""
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
        if idle_s > self.settings.max_idle_s or self.host.has_unexpected_input():
            return False
        return idle_s <= self.settings.noop_after_s or self.host.answers()
