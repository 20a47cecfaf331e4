"""What the pages say about a mail and about sending it again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.rules import Rules
from verifier.domain.verifications import OWED, Delivery, DeliveryStatus, Status, Verification
from verifier.web.wording import (
    describe_attempts,
    describe_delivery,
    describe_life,
    describe_resend,
    describe_wrong_code,
    soon,
)

NOW = 1_800_000_000.0
RULES = Rules()


def verification(
    *,
    sends: int = 1,
    last_sent_at: float = NOW,
    expires_at: float = NOW + 600,
    decided: Status = Status.PENDING,
) -> Verification:
    """A pending verification that was just made."""
    return Verification(
        id="0" * 32,
        address="ada@example.org",
        key_id="k",
        created_at=NOW,
        expires_at=expires_at,
        delivery=Delivery(1, DeliveryStatus.QUEUED),
        decided=decided,
        sends=sends,
        last_sent_at=last_sent_at,
    )


@pytest.mark.parametrize(
    ("status", "tone", "words"),
    [
        (DeliveryStatus.QUEUED, "waiting", "about to be sent"),
        (DeliveryStatus.SENDING, "waiting", "being sent right now"),
        (DeliveryStatus.DEFERRED, "waiting", "delayed"),
        (DeliveryStatus.SENT, "good", "spam folder"),
        (DeliveryStatus.ABANDONED, "bad", "could not be sent in time"),
    ],
)
def test_each_state_of_a_mail_has_its_words(status: DeliveryStatus, tone: str, words: str) -> None:
    """Every state is said in plain words, and is settled exactly when no mail is owed any more."""
    described = describe_delivery(Delivery(1, status, relay_reply="550 5.1.1 mailbox nope"), NOW)
    assert (described.tone, described.settled) == (tone, status not in OWED)
    assert words in str(described.sentence)


@pytest.mark.parametrize(
    ("since_s", "words", "settled"),
    [(0, "It can take a minute to arrive.", False), (31, "look in your spam folder.", True)],
)
def test_the_spam_folder_is_named_after_a_while(since_s: float, words: str, settled: bool) -> None:
    """Until then the page goes on asking."""
    described = describe_delivery(Delivery(1, DeliveryStatus.SENT, sent_at=NOW - since_s), NOW)
    assert str(described.sentence).endswith(words)
    assert (described.tone, described.settled) == ("good", settled)


@pytest.mark.parametrize("status", list(DeliveryStatus))
def test_what_the_relay_said_is_not_shown(status: DeliveryStatus) -> None:
    """The relay's own text is for operators."""
    described = describe_delivery(Delivery(1, status, relay_reply="550 5.1.1 mailbox nope"), NOW)
    assert "5.1.1" not in str(described.sentence)


@pytest.mark.parametrize(
    ("next_try_at", "words"),
    [(NOW + 38, "in about 40 seconds"), (NOW - 3, "in a few seconds"), (None, "in a few seconds")],
)
def test_a_delayed_mail_says_when_it_is_tried_again(next_try_at: float | None, words: str) -> None:
    """Also where the time has just passed or is not known."""
    delivery = Delivery(1, DeliveryStatus.DEFERRED, next_try_at=next_try_at)
    assert f"We'll try again {words}." in str(describe_delivery(delivery, NOW).sentence)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "in a few seconds"),
        (5, "in a few seconds"),
        (5.1, "in about 10 seconds"),
        (54, "in about 60 seconds"),
        (55, "in about 1 minute"),
        (75, "in about 1 minute"),
        (76, "in about 2 minutes"),
        (230, "in about 4 minutes"),
    ],
)
def test_spans_are_rounded(seconds: float, words: str) -> None:
    """Coarse, so that a screen reader is not made to speak each second."""
    assert str(soon(seconds)) == words


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_a_span_never_speaks_of_nothing(seconds: float) -> None:
    """Whatever the time, it is no "0 seconds" and no negative number."""
    assert " 0 " not in str(soon(seconds))
    assert "-" not in str(soon(seconds))


def test_sending_again_says_how_long_to_wait() -> None:
    """Thirty seconds after the first send, by default."""
    words = describe_resend(verification(), RULES, NOW + 0.5)
    assert words.wait_s == 30
    assert str(words.sentence) == "You can send it again in 30 seconds."


def test_sending_again_can_be_possible_now() -> None:
    """Nothing about waiting then."""
    words = describe_resend(verification(sends=4, last_sent_at=NOW - 300), RULES, NOW)
    assert words.wait_s == 0
    assert words.sentence is None


def test_sending_again_ends_with_the_last_send() -> None:
    """No button, and the reason."""
    words = describe_resend(verification(sends=5), RULES, NOW)
    assert words.wait_s is None
    assert "any more often" in str(words.sentence)


def test_sending_again_ends_with_the_code() -> None:
    """Where the code ends first, waiting for it would lead nowhere."""
    words = describe_resend(verification(expires_at=NOW + 29), RULES, NOW)
    assert words.wait_s is None
    assert "expires before" in str(words.sentence)


@pytest.mark.parametrize(
    ("left", "words"), [(1, "You have 1 attempt left."), (4, "You have 4 attempts left.")]
)
def test_a_wrong_code_says_how_many_attempts_are_left(left: int, words: str) -> None:
    """One attempt is no "1 attempts"."""
    assert str(describe_attempts(left)) == words
    assert str(describe_wrong_code(left)) == f"This is not the right code. {words}"


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (600, "It works for 10 minutes."),
        (599.2, "It works for 10 minutes."),
        (590, "It works for 9 minutes."),
        (119, "It works for 2 minutes."),
        (60, "It works for 1 minute."),
        (20, "It works for less than a minute."),
        (-1, "It works for less than a minute."),
    ],
)
def test_a_code_says_how_long_it_works(left_s: float, words: str) -> None:
    """In whole minutes, and never much more than there are."""
    assert str(describe_life(left_s)) == words
