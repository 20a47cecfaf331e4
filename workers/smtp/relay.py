"""One relay as many threads see it: its connections and its state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.connection_pool import ConnectionPool
from workers.smtp.dialogue import WaitLimit
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_breaker import Pass
from workers.smtp.relay_settings import RelaySettings, tls_context
from workers.smtp.relay_state import Recovered, RelayState, Trouble

log = logging.getLogger(__name__)

Answered = Callable[[Outcome, float], None]

_NONE_FREE = "the relay takes no more connections, and none came free in time"
_FAILED_BEFORE = "this relay failed a moment ago and is not asked again yet"
_NO_TIME = "no time was left to send it"


def nobody(outcome: Outcome, duration_s: float) -> None:
    """Count nothing."""


class Relay:
    """Thread-safe; a send holds no lock while it talks to the relay."""

    def __init__(
        self,
        settings: RelaySettings,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        limit: WaitLimit | None = None,
        answered: Answered = nobody,
    ) -> None:
        """`limit` ends every wait, `answered` is told of each outcome and how many seconds it took. Raises ValueError when the CA file cannot be read."""
        self.settings = settings
        self._limit = limit or WaitLimit()
        self.connections = ConnectionPool(settings, tls_context(settings), self._limit)
        self._clock = clock
        self._answered = answered
        self._state = RelayState(jitter)
        self._lock = threading.Lock()

    def send(self, mail: OutgoingMail, ends_at: float, may_send: Callable[[], bool]) -> Outcome | None:
        """Return the outcome, or None without a try during a cooldown; the arguments are those of `deliver`."""
        with self._lock:
            admitted_as = self._state.admit(self._clock())
        if admitted_as is None:
            return None
        try:
            outcome = self._deliver(mail, ends_at, may_send)
        except BaseException:
            with self._lock:
                self._state.gave_up(admitted_as)
            raise
        self._note(outcome, mail.recipient.rpartition("@")[2].lower(), admitted_as)
        return outcome

    def in_cooldown(self) -> Outcome:
        """Return the outcome for a mail that was not tried here: what the relay failed with, and how long it rests."""
        with self._lock:
            failure, left_s = self._state.last_failure, self._state.cooldown_left_s(self._clock())
        if failure is None:  # it has just recovered
            failure = Outcome(Kind.DEFERRED, Stage.CONNECT, self.settings.name, reply=_FAILED_BEFORE)
        return replace(failure, cooldown_left_s=left_s)

    def cooldown_left_s(self) -> float:
        """Return for how many more seconds nobody is let through; 0 when the next mail may be sent or probes."""
        with self._lock:
            return self._state.cooldown_left_s(self._clock())

    def probe_is_due(self) -> bool:
        """Return whether `probe` would ask the relay."""
        with self._lock:
            return self._state.probe_is_due(self._clock())

    def probe(self) -> None:
        """Ask a failing relay whose cooldown is over, in place of a mail: connect and log in, and stay connected."""
        with self._lock:
            now = self._clock()
            admitted_as = self._state.admit(now) if self._state.probe_is_due(now) else None
        if admitted_as is not Pass.PROBE:
            return
        try:
            self._judge_probe()
        except BaseException:
            with self._lock:
                self._state.gave_up(Pass.PROBE)
            raise

    def take_recovered(self) -> Recovered | None:
        """Return what a failing relay has shown since the last call."""
        with self._lock:
            return self._state.take_recovered()

    def trouble(self) -> Trouble | None:
        """Return what is wrong with a relay that fails now, None about one that works."""
        with self._lock:
            return self._state.trouble(self.settings.name, self._clock())

    def _judge_probe(self) -> None:
        connection = self.connections.take()
        if connection is None:
            with self._lock:
                self._state.note_unclear_probe(self._clock())
            return
        try:
            began_at = time.monotonic()
            refusal = connection.check()
            if refusal is not None:
                self._answered(refusal, time.monotonic() - began_at)
        finally:
            self.connections.put_back(connection)
        if refusal is not None and not (_one_too_many(refusal) and self.connections.learn_limit()):
            self._note(refusal, "", Pass.PROBE)
            return
        with self._lock:
            note = self._state.note_unclear_probe if refusal else self._state.note_answered_probe
            note(self._clock())

    def _deliver(self, mail: OutgoingMail, ends_at: float, may_send: Callable[[], bool]) -> Outcome:
        outcome = self._over_a_connection(mail, ends_at, may_send)
        if _one_too_many(outcome) and self.connections.learn_limit():
            again = self._over_a_connection(mail, ends_at, may_send)
            return outcome if again.reply == _NONE_FREE else again
        return outcome

    def _over_a_connection(self, mail: OutgoingMail, ends_at: float, may_send: Callable[[], bool]) -> Outcome:
        connection = self.connections.take(ends_at)
        no_time = time.monotonic() >= min(ends_at, self._limit.ends_at)
        if connection is None:
            return self._not_asked(_NONE_FREE, cut_short=no_time)
        try:
            if no_time:
                return self._not_asked(_NO_TIME, cut_short=True)
            began_at = time.monotonic()
            outcome = connection.deliver(mail, ends_at, may_send)
            if outcome.kind is not Kind.WITHDRAWN:
                self._answered(outcome, time.monotonic() - began_at)
            return outcome
        finally:
            self.connections.put_back(connection)

    def _not_asked(self, why: str, *, cut_short: bool) -> Outcome:
        return Outcome(Kind.DEFERRED, Stage.CONNECT, self.settings.name, None, why, cut_short=cut_short)

    def _note(self, outcome: Outcome, domain: str, admitted_as: Pass) -> None:
        with self._lock:
            now = self._clock()
            begins = self._state.note(outcome, domain, admitted_as, now)
            cooldown_s = self._state.cooldown_left_s(now)
        if begins:
            # The reply's text stays out of the log: relays quote addresses and mails in it.
            log.warning(
                "Relay %s (%s:%d) failed at %s with %s; it is not used for %.0f s.",
                self.settings.name,
                self.settings.host,
                self.settings.port,
                outcome.stage.value,
                outcome.code or outcome.reply,
                cooldown_s,
            )


def _one_too_many(outcome: Outcome) -> bool:
    """Return whether the relay may have enough connections of ours already: a 4xx before the login."""
    return outcome.stage is Stage.CONNECT and outcome.code is not None and outcome.code // 100 == 4
