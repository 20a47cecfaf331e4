"""One claimed delivery: render the mail, have a relay take it, decide on the settlement."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from verifier.domain.codes import code_of
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.domain.verifications import DeliveryStatus
from verifier.logs import ThrottledLog
from verifier.store.deliveries import Claim, Settlement
from workers.delivery_backoff import has_life, next_try
from workers.mail.mailer import Mailer
from workers.smtp.answers import Kind, Outcome
from workers.smtp.relays import Relays

log = logging.getLogger(__name__)

LOG_REFUSALS_EVERY_S = 60.0
# A relay whose cooldown is over but whose probe is still out is asked again after this, or up to twice as long.
SHORTEST_COOLDOWN_S = 1.0


class Deliverer:
    """From a claim to its settlement; safe for threads."""

    def __init__(
        self,
        mailer: Mailer,
        relays: Relays,
        keys: KeyRing,
        rules: Rules,
        *,
        least_life_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mailer = mailer
        self._relays = relays
        self._keys = keys
        self._rules = rules
        self._least_life_s = least_life_s
        self._clock = clock
        self._refusals = ThrottledLog(log, LOG_REFUSALS_EVERY_S)

    def deliver(self, claim: Claim) -> Settlement:
        """Send the mail of a claim. Never raises for anything that a relay, an address or a key does."""
        verification = claim.verification
        code = code_of(verification.id, verification.address, verification.key_id, self._keys, self._rules)
        if code is None:
            log.error(
                "The secret key %r is not in VERIFIER_SECRET_KEYS any more, so a mail can't be made: "
                "keep a retired key there until its codes have expired.",
                verification.key_id,
            )
            return Settlement(claim, DeliveryStatus.ABANDONED, relay_reply="secret key retired")
        now = self._clock()
        try:
            mail = self._mailer.render(
                verification.id,
                claim.number,
                verification.address,
                code,
                expires_in_s=verification.expires_at - now,
                now=now,
            )
        except ValueError as error:
            log.error("The mail of verification %s can't be made: %s", verification.id, error)  # noqa: TRY400 - the sentence is enough
            return Settlement(claim, DeliveryStatus.REJECTED, relay_reply=str(error))
        return self._settlement(claim, self._relays.send(mail))

    def _settlement(self, claim: Claim, outcome: Outcome) -> Settlement:
        reply = f"{outcome.relay}: {outcome.reply}" if outcome.reply else outcome.relay
        if outcome.kind is Kind.SENT:
            return Settlement(claim, DeliveryStatus.SENT, relay_reply=reply)
        if outcome.kind is Kind.REJECTED:
            return Settlement(claim, DeliveryStatus.REJECTED, relay_reply=reply)
        if outcome.kind is Kind.RELAY_REFUSES_US:
            # At most one line a minute; the relay's words are in `flask deliveries show`.
            self._refusals.log(
                logging.ERROR,
                "Relay %s refuses this service (%s at %s), so mails wait: check its login and the sender.",
                outcome.relay,
                outcome.code or "no code",
                outcome.stage.value,
            )
        if outcome.cooldown_left_s is not None:
            return self._after_cooldown(claim, outcome.cooldown_left_s, reply)
        return self._after_backoff(claim, reply)

    def _after_backoff(self, claim: Claim, reply: str) -> Settlement:
        now, verification = self._clock(), claim.verification
        at = next_try(
            max(1, verification.delivery.tries),
            now,
            verification.delivery.queued_at,
            verification.expires_at,
            least_life_s=self._least_life_s,
        )
        if at is None:
            return Settlement(claim, DeliveryStatus.ABANDONED, relay_reply=reply)
        return Settlement(claim, DeliveryStatus.DEFERRED, max(0.0, at - now), reply)

    def _after_cooldown(self, claim: Claim, cooldown_left_s: float, reply: str) -> Settlement:
        """Have it tried when a relay may be asked again; nobody was asked, so it is no try.

        Spread over as long again, since at first a single probe is let through.
        """
        wait_s = max(cooldown_left_s, SHORTEST_COOLDOWN_S) * (1 + random.random())
        if not has_life(self._clock() + wait_s, claim.verification.expires_at, self._least_life_s):
            return Settlement(claim, DeliveryStatus.ABANDONED, relay_reply=reply, tried=False)
        return Settlement(claim, DeliveryStatus.DEFERRED, wait_s, reply, tried=False)
