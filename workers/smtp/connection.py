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
from collections.abc import Callable
from dataclasses import replace

import flask_mail

from workers.smtp.answers import Outcome, Stage, outcome_of_error
from workers.smtp.dialogue import RelayDialogue, WaitLimit
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.transaction import Transaction


class RelayConnection(flask_mail.Connection):
    """A connection to one relay that outlives its mails. `deliver` opens it when it has to."""

    host: RelayDialogue | None

    def __init__(
        self,
        settings: RelaySettings,
        context: ssl.SSLContext | None = None,
        limit: WaitLimit | None = None,
    ) -> None:
        """`context` comes from `tls_context`, made once for all connections to the relay."""
        # Without an app it has no settings, and none is read: `configure_host` is ours. So no dialogue is printed either.
        super().__init__(flask_mail.Mail())
        self.settings = settings
        self._context = context
        self._limit = limit or WaitLimit()
        self._used_at = 0.0
        self._ends_at = math.inf

    def deliver(
        self, mail: OutgoingMail, ends_at: float = math.inf, may_send: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Send the mail; never raises for anything the relay or the network does.

        The final dot is never sent after the total timeout, nor after `ends_at` of `time.monotonic()`:
        whoever holds a lease for as long knows that no copy leaves once it is over. `may_send` is asked
        right before the message; where it returns False nothing of it is sent.
        """
        began_at = time.monotonic()
        self._ends_at = min(ends_at, began_at + self.settings.total_timeout_s)
        reused = self._still_usable()
        transaction, outcome = self._attempt(mail, may_send, fresh=not reused)
        if reused and transaction is not None and transaction.found_dead:
            # A relay may close an idle connection at any time; nothing of this mail was taken yet.
            _, outcome = self._attempt(mail, may_send, fresh=True)
        if self._was_cut_short(outcome, began_at, ends_at):
            return replace(outcome, cut_short=True)
        return outcome

    def check(self) -> Outcome | None:
        """Connect and log in anew, and stay open for the next mail; return what failed, None when nothing did."""
        self._ends_at = time.monotonic() + self.settings.total_timeout_s
        return self._connect()

    def configure_host(self) -> RelayDialogue:
        """Connect, greet, secure and log in; raises OSError or ValueError, and then leaves nothing open."""
        dialogue = RelayDialogue(self.settings, self._context, self._limit)
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

    def _connect(self) -> Outcome | None:
        self.close()
        try:
            self.host = self.configure_host()
        except (OSError, ValueError) as error:
            return outcome_of_error(Stage.CONNECT, error, self.settings.name)
        self.num_emails, self._used_at = 0, time.monotonic()
        return None

    def _attempt(
        self, mail: OutgoingMail, may_send: Callable[[], bool], *, fresh: bool
    ) -> tuple[Transaction | None, Outcome]:
        refusal = self._connect() if fresh else None
        if refusal is not None:
            return None, refusal
        assert self.host is not None  # noqa: S101 (said for the type checker: reused or just opened)
        self.host.begin(self._ends_at)
        transaction = Transaction(self.host, mail, self.settings.name, may_send)
        try:
            outcome = transaction.run()
        finally:
            self._after_use()
        return transaction, outcome

    def _was_cut_short(self, outcome: Outcome, began_at: float, ends_at: float) -> bool:
        """Return whether the time given ended an attempt; a relay that had enough of it for a reply was slow itself."""
        if outcome.code is not None or not outcome.relay_failed:
            return False
        now = time.monotonic()
        little = ends_at - began_at < self.settings.command_timeout_s
        return now >= self._limit.ends_at or (little and not outcome.ambiguous and now >= ends_at)

    def _after_use(self) -> None:
        self.num_emails += 1
        self._used_at = time.monotonic()
        if self.host is not None and self.host.sock is None:
            self.host = None

    def _still_usable(self) -> bool:
        if self.host is None or self.num_emails >= self.settings.max_mails_per_connection:
            return False
        self.host.begin(self._ends_at)
        idle_s = time.monotonic() - self._used_at
        if idle_s > self.settings.max_idle_s or self.host.has_unexpected_input():
            return False
        return idle_s <= self.settings.noop_after_s or self.host.answers()
