"""Slips in the domain of an address: one that is nearly a domain where very many people have their mailbox.

Kept by hand: the lists are short, and a library for it would bring hundreds of domains whose owners could then never be
told apart from a slip. It is a question to the person, never a refusal.
"""

from __future__ import annotations

from verifier.domain.addresses import normalise_address
from verifier.domain.errors import InvalidAddress

COMMON = (
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "hotmail.com",
    "outlook.com",
    "icloud.com",
    "naver.com",
    "daum.net",
    "hanmail.net",
    "kakao.com",
    "protonmail.com",
)
# One slip away from a common one, and real: their people are not to be asked each time.
REAL = frozenset({"mail.com", "ymail.com", "email.com", "yahoo.co", "naver.co", "hotmail.co", "kakao.co"})


def intended_address(typed: str) -> str | None:
    """Return the address that was probably meant; None where there is nothing to ask.

    Args:
        typed: the address as it was typed, right or not.
    """
    try:
        local, _, domain = normalise_address(typed, for_tests=True).rpartition("@")
    except InvalidAddress:
        return None
    if domain in COMMON or domain in REAL:
        return None
    near = [common for common in COMMON if is_one_slip(domain, common)]
    return f"{local}@{near[0]}" if near else None


def is_one_slip(one: str, other: str) -> bool:
    """Return whether a single slip makes one text of the other: a character too much, too few, wrong, or two exchanged."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    if len(one) > len(other):
        one, other = other, one
    start = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    if len(one) < len(other):
        return one[start:] == other[start + 1 :]
    exchanged = one[start : start + 2] == other[start : start + 2][::-1]
    return one[start + 1 :] == other[start + 1 :] or (exchanged and one[start + 2 :] == other[start + 2 :])
