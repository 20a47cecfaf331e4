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

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from workers.smtp.answers import Kind, Outcome
from workers.smtp.dialogue import WaitLimit
from workers.smtp.outgoing_mail import OutgoingMail
from workers.smtp.relay import Answered, Relay, nobody
from workers.smtp.relay_settings import RelaySettings
from workers.smtp.relay_state import Recovered, Trouble

__all__ = ["Recovered", "Relays"]

_WAIT_FOR_PROBES_S = 1.0
_CLOSE_IDLE_FOR_S = 1.0


class Relays:
    """Thread-safe. Each thread that sends uses a connection of its own while it does."""

    def __init__(
        self,
        relays: Sequence[RelaySettings],
        *,
        weights: Sequence[float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        answered: Answered = nobody,
    ) -> None:
        """Without weights the first relay is used while it works; with them the order is drawn for each mail.

        `answered` is told of each outcome that a relay gave, and of how many seconds it took.

        Raises ValueError for no relays, names used twice, weights that are not one positive number a
        relay, or a CA file that cannot be read.
        """
        if not relays:
            raise ValueError("At least one relay is needed to send mail.")
        if len({relay.name for relay in relays}) < len(relays):
            raise ValueError("Two relays have the same name: give each its own.")
        if weights is not None and (len(weights) != len(relays) or min(weights) <= 0):
            raise ValueError("Relay weights must be one positive number for each relay.")
        self._limit = WaitLimit()
        self._relays = tuple(Relay(settings, clock, jitter, self._limit, answered) for settings in relays)
        self._weights = tuple(weights) if weights else None
        self._jitter = jitter

    @property
    def longest_send_s(self) -> float:
        """The seconds after which no mail of a `send` leaves any more."""
        return sum(relay.settings.total_timeout_s for relay in self._relays)

    def send(
        self, mail: OutgoingMail, *, ends_at: float = math.inf, may_send: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Try the relays until one gives an answer that counts; return that, or the most useful one for operators.

        Never raises for what a relay does. No final dot is sent after `ends_at` of `time.monotonic()`; the wait for its answer may last longer.
        `may_send` is asked in this thread right before a message is written; False withdraws the mail.
        """
        outcomes: list[Outcome] = []
        ends_at = min(ends_at, time.monotonic() + self.longest_send_s)
        for relay in self._in_turn():
            if outcomes and time.monotonic() >= ends_at:
                break
            outcome = relay.send(mail, ends_at, may_send) or relay.in_cooldown()
            if not outcome.next_relay_may_help:
                return outcome
            outcomes.append(outcome)
        return _most_useful(outcomes)

    def hurry(self, ends_at: float) -> None:
        """Let no wait for a relay last beyond this `time.monotonic()`; those under way notice within a second."""
        self._limit.ends_at = ends_at

    def probe(self) -> None:
        """Ask each failing relay whose cooldown is over, in place of a mail; `take_recovered` has the result.

        Waits a second at most, since who calls this has leases to renew; a slower probe goes on by itself.
        """
        ends_at = time.monotonic() + _WAIT_FOR_PROBES_S
        probes = [
            threading.Thread(target=relay.probe, name=f"probe-{relay.settings.name}", daemon=True)
            for relay in self._relays
            if relay.probe_is_due()
        ]
        for probe in probes:
            probe.start()
        for probe in probes:
            probe.join(max(0.0, ends_at - time.monotonic()))

    def take_recovered(self) -> Recovered | None:
        """Return, once, what failing relays have shown since the last call: PROBED, or WORKS if one of them did."""
        shown = {relay.take_recovered() for relay in self._relays}
        return next(
            (recovered for recovered in (Recovered.WORKS, Recovered.PROBED) if recovered in shown), None
        )

    def conditions(self) -> list[tuple[str, Trouble | None]]:
        """Return the name of each relay, and what is wrong with it; None where it works."""
        return [(relay.settings.name, relay.trouble()) for relay in self._relays]

    def troubles(self) -> list[str]:
        """Return a sentence for each relay that fails now."""
        return [trouble.sentence for _, trouble in self.conditions() if trouble]

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


def _most_useful(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what to report when no relay took it: a refusal of us before others, a relay that was asked before
    one that rests, and a rejection of ours only where no relay may yet take it.
    """
    asked = [outcome for outcome in outcomes if outcome.cooldown_left_s is None]
    open_ones = [outcome for outcome in asked if outcome.kind is not Kind.REJECTED]
    resting = [outcome for outcome in outcomes if outcome.cooldown_left_s is not None]
    candidates = open_ones or resting or asked
    best = next((outcome for outcome in candidates if outcome.kind is Kind.RELAY_REFUSES_US), candidates[0])
    if best.cooldown_left_s is None:
        return best
    return replace(best, cooldown_left_s=min(outcome.cooldown_left_s or 0.0 for outcome in resting))
