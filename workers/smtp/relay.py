"""One relay as many threads see it: its connections, its breaker, its last failure."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.connection_pool import Connections
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay_breaker import Breaker, Pass
from workers.smtp.relay_settings import RelaySettings, tls_context

log = logging.getLogger(__name__)


_NONE_FREE = "the relay takes no more connections, and none came free in time"


@dataclass(frozen=True, slots=True)
class RelayState:
    """A snapshot for operators. Times are on the clock given to `Relays`.

    `resting_until` is None while the relay is in use; once it has passed, the next mail is the probe.
    `last_failure` says in words what went wrong last, the relay's own reply included.
    """

    name: str
    host: str
    port: int
    resting_until: float | None
    failures_in_a_row: int
    last_failure: str
    last_failure_at: float | None
    open_connections: int


class Relay:
    """Thread-safe; a send holds no lock while it talks to the relay."""

    def __init__(
        self, settings: RelaySettings, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        """Raises ValueError when the CA file cannot be read."""
        self.settings = settings
        self._clock = clock
        self._connections = Connections(settings, tls_context(settings))
        self._breaker = Breaker(jitter)
        self._lock = threading.Lock()
        self._last_failure: tuple[float, str] | None = None

    def send(self, mail: OutgoingMail, ends_at: float) -> Outcome | None:
        """The outcome, or None without a try while the relay rests; `ends_at` as in `deliver`."""
        with self._lock:
            entry = self._breaker.admit(self._clock())
        if entry is None:
            return None
        try:
            outcome = self._deliver(mail, ends_at)
        except BaseException:
            with self._lock:
                self._breaker.gave_up(entry)
            raise
        self._judge(outcome, entry)
        return outcome

    def rests_for_s(self) -> float:
        """For how many more seconds nobody but one probe is let through; 0 when the rest is over."""
        with self._lock:
            until = self._breaker.resting_until
        return 0.0 if until is None else max(0.0, until - self._clock())

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        self._connections.close()

    def close_idle(self) -> None:
        """Close the connections that stood unused for too long."""
        self._connections.close_idle()

    def state(self) -> RelayState:
        """A snapshot."""
        open_connections = self._connections.open_now()
        with self._lock:
            at, words = self._last_failure or (None, "")
            return RelayState(
                name=self.settings.name,
                host=self.settings.host,
                port=self.settings.port,
                resting_until=self._breaker.resting_until,
                failures_in_a_row=self._breaker.failures,
                last_failure=words,
                last_failure_at=at,
                open_connections=open_connections,
            )

    def _deliver(self, mail: OutgoingMail, ends_at: float) -> Outcome:
        outcome = self._over_a_connection(mail, ends_at)
        if outcome is not None and _one_too_many(outcome) and self._connections.learn_limit():
            outcome = self._over_a_connection(mail, ends_at) or outcome
        return outcome or Outcome(Kind.DEFERRED, Stage.CONNECT, self.settings.name, None, _NONE_FREE)

    def _over_a_connection(self, mail: OutgoingMail, ends_at: float) -> Outcome | None:
        connection = self._connections.take()
        if connection is None:
            return None
        try:
            return connection.deliver(mail, ends_at)
        finally:
            self._connections.put_back(connection)

    def _judge(self, outcome: Outcome, entry: Pass) -> None:
        now = self._clock()
        with self._lock:
            if not outcome.rests_relay:
                self._breaker.worked()
                return
            self._last_failure = (now, failure_in_words(outcome))
            rests = self._breaker.failed(now, entry)
            rest_s = (self._breaker.resting_until or now) - now
        if rests:
            # The reply's text stays out of the log: relays quote addresses and mails in it.
            log.warning(
                "Relay %s (%s:%d) failed at %s with %s; it rests for %.0f s.",
                self.settings.name,
                self.settings.host,
                self.settings.port,
                outcome.stage.value,
                outcome.code or outcome.reply,
                rest_s,
            )


def _one_too_many(outcome: Outcome) -> bool:
    """Whether the relay may have enough connections of ours already: a 4xx before the login."""
    return outcome.stage is Stage.CONNECT and outcome.code is not None and outcome.code // 100 == 4


def failure_in_words(outcome: Outcome) -> str:
    """The stage, the code if there was one, and the reply."""
    parts = (f"at {outcome.stage.value}:", str(outcome.code) if outcome.code else "", outcome.reply)
    return " ".join(part for part in parts if part)
