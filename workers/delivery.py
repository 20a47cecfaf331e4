"""One claimed delivery: render the mail, have a relay take it, decide on the settlement."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace

from verifier.domain.callers import any_page_shows, key_name_in
from verifier.domain.codes import code_of, message_name_of
from verifier.domain.keys import KeyRing
from verifier.domain.rules import Rules
from verifier.domain.verifications import DeliveryStatus
from verifier.logs import ThrottledLog
from verifier.store.deliveries import Claim, Settlement
from workers.delivery_backoff import last_try, next_try
from workers.mail.mailer import Mailer
from workers.smtp.answers import Kind, Outcome, Stage, without_addresses
from workers.smtp.relays import Relays

log = logging.getLogger(__name__)

LOG_AGAIN_AFTER_S = 60.0
# A relay whose cooldown is over but whose probe is still out is asked again after this, or up to twice as long.
SHORTEST_COOLDOWN_S = 1.0
# While keys are rotated, another worker has the key already, or this one is about to be restarted.
MISSING_KEY_AGAIN_AFTER_S = 3.0
# A relay that took a mail and gave no answer may have it. It is asked twice more, and not again.
MOST_AMBIGUOUS = 3
_BEFORE = " (before: "
_AN_ANSWER = re.compile(r": [245]\d\d(?: |$)")


def always() -> bool:
    """Return that the mail may leave: who calls without more has claimed it a moment ago."""
    return True


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take `clock` for monotonic time, in seconds; what lives and dies is judged by Redis's, as each claim knows it."""
        self._mailer = mailer
        self._relays = relays
        self._keys = keys
        self._rules = rules
        self._least_life_s = least_life_s
        self._clock = clock
        self._refusals: dict[tuple[str, Stage, int | None], ThrottledLog] = {}
        self._missing_keys = ThrottledLog(log, LOG_AGAIN_AFTER_S)
        self._missing_key: tuple[str, float] | None = None

    def troubles(self) -> list[str]:
        """Return what keeps this worker from making mails, in sentences for operators."""
        if self._missing_key is None or self._clock() - self._missing_key[1] > LOG_AGAIN_AFTER_S:
            return []
        return [_missing_key_sentence(self._missing_key[0])]

    def deliver(self, claim: Claim, may_send: Callable[[], bool] = always) -> Settlement:
        """Send the mail of a claim. Never raises for anything that a relay, an address or a key does.

        Args:
            claim: what to send.
            may_send: returns whether the lease surely holds and the mail is still wanted. It is asked before anything
                is done, and once more right before the mail leaves; without a yes the claim is given back.
        """
        verification = claim.verification
        code = code_of(verification.id, verification.address, verification.key_id, self._keys, self._rules)
        message_name = message_name_of(verification.id, claim.number, verification.key_id, self._keys)
        if code is None or message_name is None:
            return self._without_key(claim, verification.key_id)
        expires_in_s = verification.expires_at - self._now(claim)
        if not may_send() or expires_in_s < self._least_life_s:
            return _given_back(claim)
        try:
            mail = self._mailer.render(
                message_name,
                verification.address,
                code,
                expires_in_s=expires_in_s,
                now=time.time(),
                site=key_name_in(verification.started_by),
                language=verification.language,
                page=verification.id if any_page_shows(verification.started_by) else "",
            )
        except ValueError as error:
            log.error("The mail of verification %s can't be made: %s", verification.id, error)  # noqa: TRY400 - the sentence is enough
            return Settlement(claim, DeliveryStatus.REJECTED, relay_reply=str(error))
        dead_at = self._clock() + expires_in_s
        return self._settlement(claim, self._relays.send(mail, ends_at=dead_at, may_send=may_send))

    def _settlement(self, claim: Claim, outcome: Outcome) -> Settlement:
        words = " ".join(str(part) for part in (outcome.code, outcome.reply) if part)
        reply = f"{outcome.relay}: {words}" if words else outcome.relay
        if outcome.code is None and outcome.kind is not Kind.SENT:
            reply = _beside_the_last_answer(reply, claim.verification.delivery.relay_reply)
        if outcome.kind is Kind.WITHDRAWN:
            return _given_back(claim)
        if outcome.kind is Kind.SENT:
            return Settlement(claim, DeliveryStatus.SENT, relay_reply=reply)
        if outcome.kind is Kind.REJECTED:
            return Settlement(claim, DeliveryStatus.REJECTED, relay_reply=reply)
        if outcome.ambiguous:
            return self._after_ambiguity(claim, reply)
        if outcome.kind is Kind.RELAY_REFUSES_US:
            self._log_refusal(outcome)
        if outcome.cooldown_left_s is not None:
            return self._after_cooldown(claim, outcome.cooldown_left_s, reply)
        return self._after_backoff(claim, reply, waits_for_relay=outcome.relay_failed)

    def _log_refusal(self, outcome: Outcome) -> None:
        """Say it at once and then at most once a minute, in the relay's own words but for the addresses that it quotes.

        Another code, or another stage of the dialogue, is another refusal: the login, and then the sender.
        """
        what = outcome.relay, outcome.stage, outcome.code
        refusals = self._refusals.setdefault(what, ThrottledLog(log, LOG_AGAIN_AFTER_S))
        refusals.log(
            logging.ERROR,
            "Relay %s refuses this service (%s at %s: %s), so mails wait: check its login and the sender.",
            outcome.relay,
            outcome.code or "no code",
            outcome.stage.value,
            without_addresses(outcome.reply),
        )

    def _after_backoff(self, claim: Claim, reply: str, *, waits_for_relay: bool) -> Settlement:
        now, verification = self._now(claim), claim.verification
        at = next_try(
            max(1, verification.delivery.tries),
            now,
            verification.delivery.queued_at,
            verification.expires_at,
            least_life_s=self._least_life_s,
        )
        if at is None:
            return Settlement(claim, DeliveryStatus.ABANDONED, relay_reply=reply)
        return Settlement(
            claim, DeliveryStatus.DEFERRED, max(0.0, at - now), reply, waits_for_relay=waits_for_relay
        )

    def _after_cooldown(self, claim: Claim, cooldown_left_s: float, reply: str) -> Settlement:
        """Have it tried when a relay may be asked again; nobody was asked, so it is no try.

        Spread over as long again, since at first a single probe is let through.
        """
        wait_s = max(cooldown_left_s, SHORTEST_COOLDOWN_S) * (1 + random.random())
        return self._deferred(claim, wait_s, reply, tried=False)

    def _after_ambiguity(self, claim: Claim, reply: str) -> Settlement:
        """Try once more, since most relays that give no answer did not take it; but don't send a third copy."""
        if claim.verification.delivery.ambiguous + 1 >= MOST_AMBIGUOUS:
            said = f"{reply} (not tried again: the relay may have taken it {MOST_AMBIGUOUS} times)"
            return Settlement(claim, DeliveryStatus.ABANDONED, relay_reply=said, ambiguous=True)
        return replace(self._after_backoff(claim, reply, waits_for_relay=True), ambiguous=True)

    def _deferred(self, claim: Claim, wait_s: float, reply: str, *, tried: bool = True) -> Settlement:
        """Have it tried after a while, at the end of the code's life at the latest."""
        now, expires_at = self._now(claim), claim.verification.expires_at
        at = now + wait_s
        if expires_at - at < self._least_life_s:
            last = last_try(now, expires_at, least_life_s=self._least_life_s)
            if last is None:
                return Settlement(claim, DeliveryStatus.ABANDONED, 0.0, reply, tried)
            at = last
        return Settlement(claim, DeliveryStatus.DEFERRED, at - now, reply, tried, waits_for_relay=True)

    def _without_key(self, claim: Claim, key_id: str) -> Settlement:
        """Put it off: which keys a process has is a state of the deployment, not of the mail."""
        self._missing_key = key_id, self._clock()
        self._missing_keys.log(logging.ERROR, "%s", _missing_key_sentence(key_id))
        wait_s = MISSING_KEY_AGAIN_AFTER_S * (1 + random.random())
        reply = f"this worker does not have the secret key {key_id!r}"
        return Settlement(claim, DeliveryStatus.DEFERRED, wait_s, reply, tried=False)

    def _now(self, claim: Claim) -> float:
        return claim.redis_time(self._clock())


def _given_back(claim: Claim) -> Settlement:
    return Settlement(claim, DeliveryStatus.QUEUED, tried=False)


def _beside_the_last_answer(reply: str, before: str) -> str:
    """Keep what a relay answered last beside what is not an answer: a cooldown, a silence, a lost connection."""
    kept = before.partition(_BEFORE)[2].removesuffix(")") or before
    return f"{reply}{_BEFORE}{kept})" if _AN_ANSWER.search(kept) else reply


def _missing_key_sentence(key_id: str) -> str:
    return (
        f"A worker does not have the secret key {key_id!r}, so mails wait whose codes are made with it: add it to the "
        "worker's VERIFIER_SECRET_KEYS and restart it."
    )
