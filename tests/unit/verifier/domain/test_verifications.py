"""The rules of a verification, at every boundary of its times and counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.errors import ResendTooSoon, TooManySends, VerificationEnded
from verifier.domain.rules import Rules
from verifier.domain.verifications import Delivery, DeliveryStatus, Status, Verification, ended_sentence

RULES = Rules()
START = 1_000_000.0
FRESH = Verification(
    id="0" * 32,
    address="ann@example.org",
    key_id="k",
    created_at=START,
    expires_at=START + RULES.lifetime_s,
    last_sent_at=START,
    delivery=Delivery(1, DeliveryStatus.QUEUED, queued_at=START),
)


@pytest.mark.parametrize(
    ("after_s", "status"),
    [
        (0, Status.PENDING),
        (599.999, Status.PENDING),
        (600, Status.EXPIRED),
        (601, Status.EXPIRED),
    ],
)
def test_a_verification_lives_for_ten_minutes(after_s: float, status: Status) -> None:
    """It is expired from the very moment its life is over."""
    assert FRESH.status(START + after_s, RULES) is status


@pytest.mark.parametrize(
    ("attempts", "status", "remaining"),
    [
        (0, Status.PENDING, 5),
        (4, Status.PENDING, 1),
        (5, Status.MAX_ATTEMPTS_REACHED, 0),
        (6, Status.MAX_ATTEMPTS_REACHED, 0),
    ],
)
def test_five_attempts_end_it(attempts: int, status: Status, remaining: int) -> None:
    """After the fifth attempt no code is right any more; what remains never goes below zero."""
    used = replace(FRESH, check_attempts=attempts)
    assert used.status(START, RULES) is status
    assert used.check_attempts_remaining(RULES) == remaining


def test_an_expired_verification_is_expired_even_when_its_attempts_are_used_up() -> None:
    """Its time is told first: that is what a new start would change."""
    assert replace(FRESH, check_attempts=5).status(START + 600, RULES) is Status.EXPIRED


@pytest.mark.parametrize("decided", [Status.APPROVED, Status.CANCELED])
def test_what_is_decided_stays_decided(decided: Status) -> None:
    """Neither time nor attempts change it."""
    ended = replace(FRESH, decided=decided, check_attempts=5)
    assert ended.status(START + 10_000, RULES) is decided


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_each_end_has_its_sentence(status: Status) -> None:
    """No two ends are told in the same words."""
    others = {str(ended_sentence(each)) for each in Status if each not in {status, Status.PENDING}}
    assert str(ended_sentence(status)).endswith(".")
    assert str(ended_sentence(status)) not in others


@pytest.mark.parametrize(
    "ended",
    [
        replace(FRESH, decided=Status.APPROVED),
        replace(FRESH, decided=Status.CANCELED),
        replace(FRESH, check_attempts=5),
        replace(FRESH, expires_at=START),
    ],
)
def test_an_ended_verification_is_not_sent_again(ended: Verification) -> None:
    """The refusal has the sentence of its end."""
    with pytest.raises(VerificationEnded) as refusal:
        ended.require_resendable(START, RULES)
    assert str(refusal.value) == str(ended_sentence(ended.status(START, RULES)))


@pytest.mark.parametrize(("sends", "wait_s"), [(1, 30), (2, 60), (3, 120), (4, 240)])
def test_the_wait_before_a_resend_doubles(sends: int, wait_s: float) -> None:
    """It counts from the newest send, and is over at its exact end."""
    sent = replace(FRESH, sends=sends, last_sent_at=START + 10)
    assert sent.resend_available_at(RULES) == START + 10 + wait_s
    with pytest.raises(ResendTooSoon) as refusal:
        sent.require_resendable(START + 10 + wait_s - 0.001, RULES)
    assert refusal.value.retry_after_s == 1
    sent.require_resendable(START + 10 + wait_s, RULES)


def test_a_wait_is_told_in_whole_seconds_rounded_up() -> None:
    """Who comes back when told is never told to wait again."""
    with pytest.raises(ResendTooSoon, match="in 30 seconds") as refusal:
        FRESH.require_resendable(START + 0.4, RULES)
    assert refusal.value.retry_after_s == 30
    FRESH.require_resendable(START + 0.4 + refusal.value.retry_after_s, RULES)


def test_a_wait_of_one_second_is_told_in_the_singular() -> None:
    """A person reads it."""
    with pytest.raises(ResendTooSoon, match="in 1 second\\."):
        FRESH.require_resendable(START + 29, RULES)


def test_a_mail_is_sent_five_times_at_most() -> None:
    """The fifth send is the last, however long one waits."""
    sent = replace(FRESH, sends=5)
    assert sent.resend_available_at(RULES) is None
    with pytest.raises(TooManySends, match="5 times"):
        sent.require_resendable(START + 599, RULES)


def test_no_resend_is_promised_for_when_the_code_is_dead() -> None:
    """Where the wait outlives the code there is no time to tell."""
    late = replace(FRESH, last_sent_at=START + 570)
    assert late.resend_available_at(RULES) is None
    assert replace(FRESH, last_sent_at=START + 569).resend_available_at(RULES) == START + 599


@pytest.mark.parametrize("decided", [Status.APPROVED, Status.CANCELED])
def test_no_resend_is_promised_after_the_end(decided: Status) -> None:
    """A decided verification has nothing to send."""
    assert replace(FRESH, decided=decided).resend_available_at(RULES) is None


def test_no_resend_is_promised_after_the_last_attempt() -> None:
    """A resend does not give new attempts, so it would be refused."""
    assert replace(FRESH, check_attempts=5).resend_available_at(RULES) is None


def test_other_rules_are_followed() -> None:
    """All limits are settings."""
    rules = Rules(lifetime_s=60, max_check_attempts=1, resend_after_s=0, resend_growth=1, max_sends=2)
    assert replace(FRESH, check_attempts=1).status(START, rules) is Status.MAX_ATTEMPTS_REACHED
    FRESH.require_resendable(START, rules)
    with pytest.raises(TooManySends):
        replace(FRESH, sends=2).require_resendable(START, rules)


@given(
    first_s=st.floats(0, 86_400),
    growth=st.floats(1, 10),
    sends=st.integers(1, 100),
)
def test_waits_never_shrink(first_s: float, growth: float, sends: int) -> None:
    """Each resend has to be waited for at least as long as the one before it."""
    rules = Rules(resend_after_s=first_s, resend_growth=growth)
    waits = [rules.resend_wait_s(number) for number in range(1, sends + 1)]
    assert waits[0] == first_s
    assert all(later >= earlier for earlier, later in pairwise(waits))


@given(
    after_s=st.floats(-10, 2000),
    attempts=st.integers(0, 8),
    sends=st.integers(1, 7),
    last_s=st.floats(0, 700),
    decided=st.sampled_from([Status.PENDING, Status.APPROVED, Status.CANCELED]),
)
def test_what_is_promised_is_what_is_allowed(
    after_s: float, attempts: int, sends: int, last_s: float, decided: Status
) -> None:
    """A resend is allowed exactly from the promised time on, as long as the verification is pending."""
    now = START + after_s
    verification = replace(
        FRESH, check_attempts=attempts, sends=sends, last_sent_at=START + last_s, decided=decided
    )
    available_at = verification.resend_available_at(RULES)
    pending = verification.status(now, RULES) is Status.PENDING
    promised = available_at is not None and now >= available_at and pending
    try:
        verification.require_resendable(now, RULES)
    except (VerificationEnded, TooManySends, ResendTooSoon):
        assert not promised
    else:
        assert promised
