"""What makes settings too weak to prove anything by: a code, or the key that it is made with, that can be guessed.

They stop the start, each with the reason and what to do. Tests have an override that is loud.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator

from verifier.domain.keys import strength_of
from verifier.domain.limits import WORST_CHANCE_A_DAY, Limits
from verifier.domain.rules import Rules
from verifier.settings.model import Settings
from verifier.settings.relays import MailRelay

FEWEST_DIGITS = 6
LONGEST_LIFE_S = 600
MOST_ATTEMPTS = 10
# Of the operators' page: 16 random characters of base64, 24 of hexadecimal, or as many as four or five words have.
LEAST_PASSWORD_BYTES = 12


def weaknesses_of(settings: Settings) -> list[str]:
    """Return a sentence for each weakness, which begins with the setting's name and holds no secret."""
    return [
        *(
            f"VERIFIER_SECRET_KEYS: The secret of key {key_id!r} can be guessed, since it is too short or too regular "
            "for 32 random bytes. Make one with `flask secret-keys new`."
            for key_id in settings.keys.weak_ids()
        ),
        *_weak_password(settings.ops_password),
        *_weak_rules(settings.rules),
        *_weak_limits(settings.limits, settings.rules),
        *(sentence for relay in settings.mail.relays for sentence in _open_logins(relay)),
    ]


def _weak_password(password: str) -> Iterator[str]:
    if password and strength_of(password.encode()) < LEAST_PASSWORD_BYTES:
        yield (
            "VERIFIER_OPS_PASSWORD: It can be guessed, since it is too short or too regular. Take at least 16 random "
            "characters, such as `openssl rand -base64 18` prints."
        )


def _weak_rules(rules: Rules) -> Iterator[str]:
    if rules.code_digits < FEWEST_DIGITS:
        yield (
            f"VERIFIER_CODE_DIGITS: A code of {rules.code_digits} digits can be guessed; "
            f"the least is {FEWEST_DIGITS}, which is the default."
        )
    if rules.lifetime_s > LONGEST_LIFE_S:
        yield (
            f"VERIFIER_CODE_LIFETIME: A code that lives for {rules.lifetime_s:g} seconds can be guessed or found; "
            f"the most is {LONGEST_LIFE_S}, which is the default."
        )
    if rules.max_check_attempts > MOST_ATTEMPTS:
        yield (
            f"VERIFIER_MAX_CHECK_ATTEMPTS: With {rules.max_check_attempts} attempts a code can be guessed; "
            f"the most is {MOST_ATTEMPTS}, and the default {Rules.max_check_attempts}."
        )


def _weak_limits(limits: Limits, rules: Rules) -> Iterator[str]:
    """Say where codes of enough digits can be tried too often; that limits are off is said elsewhere, and stops nobody."""
    if not limits.enabled or rules.code_digits < FEWEST_DIGITS:
        return
    if not limits.wrong_codes_per_address:
        yield "VERIFIER_LIMIT_WRONG_CODES_PER_ADDRESS: Without this limit a code can be guessed. Set one, such as 200/1d."
    elif (chance := limits.guess_chance_a_day(rules)) > WORST_CHANCE_A_DAY:
        yield (
            f"VERIFIER_LIMIT_WRONG_CODES_PER_ADDRESS: It lets {limits.guesses_a_day():.0f} codes be tried for an address within "
            f"a day (bursts and a change of the secret keys included), so one of {rules.code_digits} digits is guessed with a "
            f"chance of 1 in {max(1, math.floor(1 / chance))}. The most is 1 in {1 / WORST_CHANCE_A_DAY:.0f}: lower the "
            "limit, such as 200/1d, or raise VERIFIER_CODE_DIGITS."
        )


def _open_logins(relay: MailRelay) -> Iterator[str]:
    if relay.security == "none" and (relay.username or relay.password) and not _is_loopback(relay.host):
        yield (
            f"VERIFIER_MAIL_USERNAME: The login at the relay {relay.host} would be sent without encryption. Set "
            "VERIFIER_MAIL_USE_TLS or VERIFIER_MAIL_USE_SSL, or in VERIFIER_MAIL_RELAYS use smtp+starttls:// or smtps://."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
