"""The secret keys: reading them, deriving from them, rotating them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.keys import KeyRing, parse_keys

OLD = "old:" + "s3cret-one" * 4
NEW = "new:" + "s3cret-two" * 4


def test_the_first_key_is_the_current_one() -> None:
    """The order in the setting decides which key makes new codes."""
    ring = parse_keys(f"{NEW}, {OLD}")
    assert ring.current == "new"
    assert list(ring.secrets) == ["new", "old"]
    assert ring.derive_all("code") == [ring.derive("new", "code"), ring.derive("old", "code")]


def test_a_key_derives_the_same_after_it_stopped_being_the_first() -> None:
    """Codes that are on their way when a new key comes in are still right."""
    before, after = parse_keys(OLD), parse_keys(f"{NEW},{OLD}")
    assert before.derive("old", "code") == after.derive("old", "code")
    assert after.derive("new", "code") != after.derive("old", "code")


def test_a_retired_key_derives_nothing() -> None:
    """Without its secret a code can't be judged."""
    assert parse_keys(NEW).derive("old", "code") is None


def test_purposes_say_nothing_of_each_other() -> None:
    """The key for codes is neither the secret nor the key for sessions."""
    ring = parse_keys(NEW)
    derived = {ring.derive("new", "code"), ring.derive("new", "session"), ring.secrets["new"]}
    assert len(derived) == 3


def test_a_secret_may_hold_a_colon() -> None:
    """Only the first colon separates."""
    assert parse_keys("k:abc:defgh").secrets == {"k": b"abc:defgh"}


def test_short_secrets_are_named_by_their_id() -> None:
    """Under 32 characters a warning is due."""
    ring = parse_keys("weak:" + "x" * 31 + ",good:" + "y" * 32)
    assert ring.weak_ids() == ["weak"]


def test_no_secret_is_shown() -> None:
    """A key ring may end up in a log or a traceback."""
    assert "s3cret" not in repr(parse_keys(f"{NEW},{OLD}"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "entry 1 is not id:secret"),
        ("s3cret-without-an-id", "entry 1 is not id:secret"),
        (f"{NEW},s3cret-without-an-id", "entry 2 is not id:secret"),
        (":s3cret-without-an-id", "entry 1 is not id:secret"),
        ("an id:s3cret-secret", "entry 1 is not id:secret"),
        (f"{NEW},", "entry 2 is not id:secret"),
        (f"{NEW},{NEW}", "the key id 'new' is there twice"),
        ("k:s3cret", "the secret of key 'k' has fewer than 8 characters"),
        ("k:", "the secret of key 'k' has fewer than 8 characters"),
        ("k" * 33 + ":s3cret-secret", "entry 1 is not id:secret"),
    ],
)
def test_wrong_keys_are_told_without_their_secrets(text: str, reason: str) -> None:
    """The message says which entry is wrong and how to make a secret, and holds none."""
    with pytest.raises(ValueError, match=reason) as refusal:
        parse_keys(text)
    assert "s3cret" not in str(refusal.value)


@given(st.text(max_size=60))
def test_whatever_stands_in_the_setting_is_a_ring_or_a_value_error(text: str) -> None:
    """Nothing else is raised, and a ring always has its current key."""
    try:
        ring = parse_keys(text)
    except ValueError:
        return
    assert isinstance(ring, KeyRing)
    assert ring.derive(ring.current, "code")
