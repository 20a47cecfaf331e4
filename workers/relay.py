"""One relay as many threads see it: its open connections, its breaker, its last failure.

A connection is taken out for one mail and put back after it, the last one used first, so that a quiet
worker keeps one connection warm and lets the others go.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.relay_answers import Outcome
from workers.relay_breaker import Breaker, Pass
from workers.smtp import OutgoingMail, RelayConnection, RelaySettings, tls_context

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RelayState:
    """A snapshot for operators. `resting_until` is on the clock given to `Relays`, None when in use.

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
        self._context = tls_context(settings)
        self._clock = clock
        self._breaker = Breaker(jitter)
        self._lock = threading.Lock()
        self._idle: list[RelayConnection] = []
        self._in_use = 0
        self._closed = False
        self._last_failure: tuple[float, str] | None = None

    def send(self, mail: OutgoingMail) -> Outcome | None:
        """The outcome, or None without a try while the relay rests."""
        with self._lock:
            entry = self._breaker.admit(self._clock())
        if entry is None:
            return None
        try:
            outcome = self._deliver(mail)
        except BaseException:
            with self._lock:
                self._breaker.gave_up(entry)
            raise
        self._judge(outcome, entry)
        return outcome

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close_idle(self) -> None:
        """Close the connections that stood unused for too long."""
        now = time.monotonic()
        with self._lock:
            old = [c for c in self._idle if c.idle_too_long(now)]
            self._idle = [c for c in self._idle if c not in old]
        for connection in old:
            connection.close()

    def state(self) -> RelayState:
        """A snapshot."""
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
                open_connections=len(self._idle) + self._in_use,
            )

    def _deliver(self, mail: OutgoingMail) -> Outcome:
        connection = self._take()
        try:
            return connection.deliver(mail)
        finally:
            self._put_back(connection)

    def _take(self) -> RelayConnection:
        with self._lock:
            self._in_use += 1
            if self._idle:
                return self._idle.pop()
        return RelayConnection(self.settings, self._context)

    def _put_back(self, connection: RelayConnection) -> None:
        with self._lock:
            self._in_use -= 1
            keep = connection.host is not None and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

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
            logger.warning(
                "Relay %s (%s:%d) failed at %s with %s; it rests for %.0f s.",
                self.settings.name,
                self.settings.host,
                self.settings.port,
                outcome.stage.value,
                outcome.code or outcome.reply,
                rest_s,
            )


def failure_in_words(outcome: Outcome) -> str:
    """The stage, the code if there was one, and the reply."""
    parts = (f"at {outcome.stage.value}:", str(outcome.code) if outcome.code else "", outcome.reply)
    return " ".join(part for part in parts if part)
