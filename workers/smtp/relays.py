"""Several relays behind one `send`: in order, or by weight, leaving out those that failed a moment ago.

A relay that cannot be reached, times out, answers 421 or refuses us gets a cooldown, and the next one takes
the mail within the same call. What the next relay is not asked for:

- a mail a relay refused for its recipient or content, for good (5xx) or for now (4xx). The answer
  comes from beyond the relay; greylisting in particular counts from the first sender's address, and a
  second relay would begin anew;
- a mail whose connection was lost after its final dot: the first relay may have it, and a copy through
  the second would be a duplicate with certainty as often as not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay import Relay
from workers.smtp.relay_settings import RelaySettings

_CLOSE_IDLE_FOR_S = 1.0


class Relays:
    """Thread-safe. Each thread that sends uses a connection of its own while it does."""

    def __init__(
        self,
        relays: Sequence[RelaySettings],
        *,
        weights: Sequence[float] | None = None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Without weights the first relay is used while it works; with them the order is drawn for each mail.

        Raises ValueError for no relays, names used twice, weights that are not one positive number a
        relay, or a CA file that cannot be read.
        """
        if not relays:
            raise ValueError("At least one relay is needed to send mail.")
        if len({relay.name for relay in relays}) < len(relays):
            raise ValueError("Two relays have the same name: give each its own.")
        if weights is not None and (len(weights) != len(relays) or min(weights) <= 0):
            raise ValueError("Relay weights must be one positive number for each relay.")
        self._relays = tuple(Relay(settings, clock, jitter) for settings in relays)
        self._weights = tuple(weights) if weights else None
        self._jitter = jitter

    @property
    def longest_send_s(self) -> float:
        """The seconds after which no mail of a `send` leaves any more."""
        return sum(relay.settings.total_timeout_s for relay in self._relays)

    def send(self, mail: OutgoingMail) -> Outcome:
        """Try the relays until one gives an answer that counts; return that, or the most useful one for operators.

        Never raises for what a relay does.
        """
        best: Outcome | None = None
        ends_at = time.monotonic() + self.longest_send_s
        for relay in self._in_turn():
            outcome = relay.send(mail, ends_at) or _in_cooldown(relay)
            if not outcome.next_relay_may_help:
                return outcome
            best = _more_useful(best, outcome)
        assert best is not None  # noqa: S101 (said for the type checker: there is a relay)
        return best

    def close_idle(self) -> None:
        """Close connections that were idle for too long, as many as a second or two allow; the next call goes on.

        A relay that does not answer QUIT costs a second for each, and who calls this has leases to renew.
        """
        ends_at = time.monotonic() + _CLOSE_IDLE_FOR_S
        for relay in self._relays:
            relay.connections.close_idle(ends_at)

    def close(self) -> None:
        """Close every connection; one that is in use, when its mail is through."""
        for relay in self._relays:
            relay.connections.close()

    def _in_turn(self) -> Sequence[Relay]:
        if self._weights is None:
            return self._relays
        # The smallest of exponential draws falls on each relay in proportion to its weight.
        draws = [random.expovariate(weight) for weight in self._weights]
        order = sorted(range(len(draws)), key=draws.__getitem__)
        return [self._relays[i] for i in order]


def _in_cooldown(relay: Relay) -> Outcome:
    return Outcome(
        Kind.DEFERRED,
        Stage.CONNECT,
        relay.settings.name,
        reply="this relay failed a moment ago and is not asked again yet",
        cooldown_left_s=relay.cooldown_left_s(),
    )


def _more_useful(first: Outcome | None, then: Outcome) -> Outcome:
    """Return what to report when no relay took it: a refusal of us, or the first that may yet take it."""
    if first is None or first.kind is Kind.REJECTED:
        return then
    if first.cooldown_left_s is not None:
        sooner = then.cooldown_left_s is None or then.cooldown_left_s < first.cooldown_left_s
        return then if sooner else first
    return then if then.kind is Kind.RELAY_REFUSES_US else first
