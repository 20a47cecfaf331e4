"""One relay as many threads see it: its connections and its breaker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.connection_pool import ConnectionPool
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_breaker import Pass, RelayBreaker
from workers.smtp.relay_settings import RelaySettings, tls_context

log = logging.getLogger(__name__)

_NONE_FREE = "the relay takes no more connections, and none came free in time"


class Relay:
    """Thread-safe; a send holds no lock while it talks to the relay."""

    def __init__(
        self, settings: RelaySettings, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        """Raises ValueError when the CA file cannot be read."""
        self.settings = settings
        self.connections = ConnectionPool(settings, tls_context(settings))
        self._clock = clock
        self._breaker = RelayBreaker(jitter)
        self._lock = threading.Lock()

    def send(self, mail: OutgoingMail, ends_at: float) -> Outcome | None:
        """Return the outcome, or None without a try during a cooldown; `ends_at` as in `deliver`."""
        with self._lock:
            admitted_as = self._breaker.admit(self._clock())
        if admitted_as is None:
            return None
        try:
            outcome = self._deliver(mail, ends_at)
        except BaseException:
            with self._lock:
                self._breaker.gave_up(admitted_as)
            raise
        self._note(outcome, admitted_as)
        return outcome

    def cooldown_left_s(self) -> float:
        """Return for how many more seconds nobody is let through; 0 when the next mail may be sent or probes."""
        with self._lock:
            until = self._breaker.open_until
        return 0.0 if until is None else max(0.0, until - self._clock())

    def _deliver(self, mail: OutgoingMail, ends_at: float) -> Outcome:
        outcome = self._over_a_connection(mail, ends_at)
        if outcome is not None and _one_too_many(outcome) and self.connections.learn_limit():
            outcome = self._over_a_connection(mail, ends_at) or outcome
        return outcome or Outcome(Kind.DEFERRED, Stage.CONNECT, self.settings.name, None, _NONE_FREE)

    def _over_a_connection(self, mail: OutgoingMail, ends_at: float) -> Outcome | None:
        connection = self.connections.take()
        if connection is None:
            return None
        try:
            return connection.deliver(mail, ends_at)
        finally:
            self.connections.put_back(connection)

    def _note(self, outcome: Outcome, admitted_as: Pass) -> None:
        now = self._clock()
        with self._lock:
            if not outcome.relay_failed:
                self._breaker.worked()
                return
            begins = self._breaker.failed(now, admitted_as)
            cooldown_s = (self._breaker.open_until or now) - now
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
