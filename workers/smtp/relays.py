"""Several relays behind one `send`: in order, or by weight, resting those that fail.

A relay that cannot be reached, times out, answers 421 or refuses us is rested, and the next one takes
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
from typing import Protocol

from workers.smtp.answers import Kind, Outcome, Stage
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay import Relay, RelayState
from workers.smtp.relay_settings import RelaySettings

__all__ = ["RelayState", "Relays", "Transport"]


class Transport(Protocol):
    """What the mailer hands its mails to: `Relays`, or a double in a test."""

    def send(self, mail: OutgoingMail) -> Outcome:
        """Hand one mail over; never raises for what a relay does."""


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
        """Without weights the first relay is used while it works; with them each mail draws lots.

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
        """No mail leaves later than this after its `send` began: a lease that lasts longer is safe."""
        return sum(relay.settings.total_timeout_s for relay in self._relays)

    def send(self, mail: OutgoingMail) -> Outcome:
        """Try the relays until one has an answer that counts."""
        best: Outcome | None = None
        ends_at = time.monotonic() + self.longest_send_s
        for relay in self._in_turn():
            outcome = relay.send(mail, ends_at) or _resting(relay)
            if not outcome.next_relay_may_help:
                return outcome
            best = _more_telling(best, outcome)
        assert best is not None  # noqa: S101 (said for the type checker: there is a relay)
        return best

    def state(self) -> tuple[RelayState, ...]:
        """A snapshot of each relay, in the order they were given."""
        return tuple(relay.state() for relay in self._relays)

    def close_idle(self) -> None:
        """Close connections that stood unused too long; for a worker's quiet moments."""
        for relay in self._relays:
            relay.close_idle()

    def close(self) -> None:
        """Close every connection; one that is in use, when its mail is through."""
        for relay in self._relays:
            relay.close()

    def _in_turn(self) -> Sequence[Relay]:
        if self._weights is None:
            return self._relays
        # The smallest of exponential draws falls on each relay in proportion to its weight.
        draws = [random.expovariate(weight) for weight in self._weights]
        order = sorted(range(len(draws)), key=draws.__getitem__)
        return [self._relays[i] for i in order]


def _resting(relay: Relay) -> Outcome:
    return Outcome(
        Kind.DEFERRED,
        Stage.CONNECT,
        relay.settings.name,
        reply="this relay is resting after a failure",
        untried_for_s=relay.rests_for_s(),
    )


def _more_telling(first: Outcome | None, then: Outcome) -> Outcome:
    """What to report when no relay took it: a refusal of us, or the first that may yet take it."""
    if first is None or first.kind is Kind.REJECTED:
        return then
    if first.untried_for_s is not None:
        sooner = then.untried_for_s is None or then.untried_for_s < first.untried_for_s
        return then if sooner else first
    return then if then.kind is Kind.RELAY_REFUSES_US else first
