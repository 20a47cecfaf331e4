"""How often something may be done, whoever and however many ask: the limits as settings, and what follows from them.

A limit is one rate or several, such as `20/1h, 50/1d`; all of them hold. They are counted by GCRA: 20 at once, then one
more every 3 minutes (store/lua/prelude/limits.lua). So within a span there may be more than the bare number, and
`most_within` says how many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from verifier.domain.rules import Rules

DAY_S = 86400.0
WORST_CHANCE_A_DAY = 1 / 1000
# While the secret keys are rotated, an address is counted under its old digest and under its new one.
ROTATION_FACTOR = 2
OFF = "off"

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,5})([smhd])")
_LONGEST_WINDOW_S = 7 * 86400
_MOST_RATES = 3


@dataclass(frozen=True)
class Rate:
    """So many at once, and as many again, spread evenly, in each window (in seconds)."""

    count: int
    window_s: float

    @property
    def step_s(self) -> float:
        """How long it takes until there is one more."""
        return self.window_s / self.count

    def __str__(self) -> str:
        """Return it as it is written in a setting."""
        unit = next(unit for unit in "dhms" if self.window_s % _UNITS_S[unit] == 0)
        return f"{self.count}/{self.window_s / _UNITS_S[unit]:.0f}{unit}"

    def most_within(self, span_s: float) -> int:
        """Return how many there can be at most within any span."""
        # Half a step is the tolerance that the script allows for rounding.
        return math.floor(self.count + 0.5 + span_s / self.step_s)


@dataclass(frozen=True)
class Limit:
    """Rates that all hold; none means that there is no limit."""

    rates: tuple[Rate, ...] = ()

    def __bool__(self) -> bool:
        """Return whether it limits anything."""
        return bool(self.rates)

    def __str__(self) -> str:
        """Return it as it is written in a setting."""
        return ", ".join(map(str, self.rates)) or OFF

    def most_within(self, span_s: float) -> float:
        """Return how many there can be at most within any span; infinite where nothing limits them."""
        return min((rate.most_within(span_s) for rate in self.rates), default=math.inf)

    def leaves_half_to_others(self, share: Limit) -> bool:
        """Return whether somebody who takes all that `share` allows can use up at most half of this limit, at any time."""
        return all(
            any(2 * part.count <= rate.count and 2 * rate.step_s <= part.step_s for part in share.rates)
            for rate in self.rates
        )


def parse_limit(text: str) -> Limit:
    """Read `5/10m`, `20/1h, 50/1d` or `off`.

    Raises:
        ValueError: it is none of these; the sentence says what is expected.
    """
    if text.strip() == OFF:
        return Limit()
    parts = [part.strip() for part in text.split(",")]
    rates = tuple(_parse_rate(part) for part in parts)
    if len(rates) > _MOST_RATES:
        raise ValueError(f"a limit has at most {_MOST_RATES} rates")
    if len({rate.window_s for rate in rates}) < len(rates):
        raise ValueError("two rates have the same window; leave one of them out")
    return Limit(rates)


def _parse_rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no rate; write a number and a time with its unit (s, m, h or d), such as 5/10m, or "
            f"several such as 20/1h, 50/1d, or {OFF}"
        )
    count, window_s = int(found[1]), int(found[2]) * _UNITS_S[found[3]]
    if count == 0:
        raise ValueError(f"{text!r} would let nobody in; write {OFF} for no limit, or a number from 1 on")
    if not 0 < window_s <= _LONGEST_WINDOW_S:
        raise ValueError(f"{text!r}: the time must be from 1s to 7d")
    return Rate(count, float(window_s))


@dataclass(frozen=True)
class Limits:
    """All limits of a service. What is counted: mails that were asked for, and codes that were not right."""

    mails_per_address: Limit = field(default_factory=partial(parse_limit, "15/10m, 50/1d"))
    mails_per_address_and_network: Limit = field(default_factory=partial(parse_limit, "5/10m, 15/1d"))
    mails_per_network: Limit = field(default_factory=partial(parse_limit, "200/10m, 2000/1d"))
    mails_per_api_key: Limit = field(default_factory=partial(parse_limit, "10000/10m"))
    mails_per_domain: Limit = field(default_factory=Limit)
    mails: Limit = field(default_factory=partial(parse_limit, "20000/10m"))
    wrong_codes_per_address: Limit = field(default_factory=partial(parse_limit, "100/1h, 200/1d"))
    wrong_codes_per_address_and_network: Limit = field(default_factory=partial(parse_limit, "20/1h, 50/1d"))
    wrong_codes_per_network: Limit = field(default_factory=partial(parse_limit, "100/10m, 1000/1d"))
    ipv4_prefix: int = 24
    """So many bits of an IPv4 address make a client network."""
    ipv6_prefix: int = 64
    enabled: bool = True

    def guesses_a_day(self) -> float:
        """Return how many codes can be tried for one address within any 24 hours, whoever and however many try."""
        return ROTATION_FACTOR * self.wrong_codes_per_address.most_within(DAY_S) if self.enabled else math.inf

    def guess_chance_a_day(self, rules: Rules) -> float:
        """Return the chance, from 0 to 1, that any of them is right. Codes are uniform, so each has the same."""
        return float(min(1.0, self.guesses_a_day() / 10**rules.code_digits))

    def without_room(self) -> Iterator[tuple[str, str]]:
        """Yield the names of two limits where one network, or key, that uses up the second leaves too little of the first."""
        for total, share in (
            ("mails_per_address", "mails_per_address_and_network"),
            ("wrong_codes_per_address", "wrong_codes_per_address_and_network"),
            ("mails", "mails_per_network"),
            ("mails", "mails_per_api_key"),
        ):
            if not getattr(self, total).leaves_half_to_others(getattr(self, share)):
                yield total, share


NO_LIMITS = Limits(enabled=False)
