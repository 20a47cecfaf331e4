"""Limits for tests."""

from __future__ import annotations

from dataclasses import fields

from verifier.domain.limits import Limit, Limits, parse_limit


def limit_names() -> list[str]:
    """Return the names of all limits."""
    return [each.name for each in fields(Limits) if isinstance(getattr(Limits(), each.name), Limit)]


def limits_of(usual: str = "off", **texts: str) -> Limits:
    """Return limits of which all are as `usual` says, but for those that are named."""
    return Limits(**{name: parse_limit(texts.get(name, usual)) for name in limit_names()})  # type: ignore[arg-type]


ROOMY = limits_of("100000/1m, 1000000/1d")
"""All are counted, and no test comes near one that is not about them."""
