"""Slips in common domains are asked about, and nobody else is."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.web.typos import COMMON, REAL, intended_address, is_one_slip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Ada.L@gmial.com", "Ada.L@gmail.com"),
        ("ada@gmai.com", "ada@gmail.com"),
        ("ada@gmaill.com", "ada@gmail.com"),
        ("ada@gmail.con", "ada@gmail.com"),
        ("ada@gmail.co", "ada@gmail.com"),
        (" ada@GNAIL.com ", "ada@gmail.com"),
        ("ada@hotmial.com", "ada@hotmail.com"),
        ("ada@outlok.com", "ada@outlook.com"),
        ("ada@iclould.com", "ada@icloud.com"),
        ("ada@navr.com", "ada@naver.com"),
        ("ada@hanmial.net", "ada@hanmail.net"),
    ],
)
def test_a_slip_is_seen(typed: str, meant: str) -> None:
    """What stands before the @ stays as it was typed."""
    assert intended_address(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        *(f"ada@{domain}" for domain in (*COMMON, *sorted(REAL))),
        "ada@example.org",
        "ada@gmx.com",
        "ada@yahoo.fr",
        "ada@yahoo.co.kr",
        "ada@hotmail.fr",
        "ada@outlook.de",
        "ada@gmail.example.org",
        "ada@gmail",
        "ada",
        "",
        "gmial.com",
        "ada@bücher.de",
    ],
)
def test_nobody_else_is_asked(typed: str) -> None:
    """What is common, or real, or something else, or no address at all."""
    assert intended_address(typed) is None


def test_common_domains_are_no_slips_of_each_other() -> None:
    """It would be a guess which of them was meant."""
    assert not [pair for pair in combinations(COMMON, 2) if is_one_slip(*pair)]


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_one_slip_is_what_it_says(one: str, other: str) -> None:
    """Beside all that a single slip can make of a text."""
    made = {one[:i] + one[i + 1 :] for i in range(len(one))}
    made |= {one[:i] + letter + one[i:] for i in range(len(one) + 1) for letter in "abc"}
    made |= {one[:i] + letter + one[i + 1 :] for i in range(len(one)) for letter in "abc"}
    made |= {one[:i] + one[i + 1] + one[i] + one[i + 2 :] for i in range(len(one) - 1)}
    assert is_one_slip(one, other) == (other in made - {one})
