"""What a repeat is known by, and what it is compared with."""

from __future__ import annotations

import pytest

from verifier.domain.keys import KeyRing
from verifier.domain.requests import fingerprint_of, may_be_same_body, resend_mark_in, resend_mark_of

ONE = KeyRing("k1", {"k1": b"a secret that is long enough for it"})
TWO = KeyRing("k2", {"k2": b"another secret that is long enough"})


@pytest.mark.parametrize(
    ("said", "again", "same"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("", "", True),
        ("", "a", False),
        ("a", "", False),
        ("a", None, True),
    ],
)
def test_bodies_are_compared(said: str, again: str | None, same: bool) -> None:
    """None is a request that says nothing of its body."""
    assert may_be_same_body(ONE, again, fingerprint_of(ONE, said)) is same


@pytest.mark.parametrize("fingerprint", ["", "k1:0123456789ab", "nonsense"])
def test_without_anything_to_compare_with_nothing_speaks_against_it(fingerprint: str) -> None:
    """The first try came without a key, from an older release, or was kept under a key that is gone."""
    assert may_be_same_body(TWO, "a", fingerprint)


def test_each_resend_is_found_again() -> None:
    """By its own id only, with its own fingerprint, or without one."""
    marks = " ".join([resend_mark_of("aa", ""), resend_mark_of("bb", "k1:12"), resend_mark_of("cc", "")])
    assert resend_mark_in(marks, "aa") == (True, "")
    assert resend_mark_in(marks, "bb") == (True, "k1:12")
    assert resend_mark_in(marks, "cc") == (True, "")
    for other in ("a", "dd", "k1:12", ""):
        assert resend_mark_in(marks, other) == (False, "")
    assert resend_mark_in("", "aa") == (False, "")
