"""The secret keys: reading them, deriving from them, rotating them."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.keys import KeyRing, new_secret, parse_keys, strength_of

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


def test_weak_secrets_are_named_by_their_id() -> None:
    """Web and workers don't start with them."""
    ring = parse_keys(f"weak:{'x' * 64},good:{new_secret()}")
    assert ring.weak_ids() == ["weak"]


@pytest.mark.parametrize(
    "weak",
    [
        "sunshine",
        "sunshine" * 20,
        "0" * 64,
        "0123456789abcdef" * 8,
        "correct horse battery staple",
        "a secret of the tests, long enough",
        "abcdefghijklmnopqrstuvwxyz0123456789"[:42],
    ],
)
def test_what_can_be_guessed_is_weak(weak: str) -> None:
    """Too short, or long by repeating itself."""
    assert strength_of(weak.encode()) < 32


@given(st.binary(max_size=8))
def test_32_random_bytes_are_never_weak(seed: bytes) -> None:
    """In hexadecimal or base64, with or without its padding."""
    random = hashlib.sha256(seed).digest()
    for text in (
        random.hex(),
        random.hex().upper(),
        b64encode(random).decode(),
        urlsafe_b64encode(random).decode(),
    ):
        assert strength_of(text.encode()) >= 32
        assert strength_of(text.rstrip("=").encode()) >= 32


def test_new_secrets_are_never_weak_and_never_the_same() -> None:
    """A thousand of them."""
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert min(strength_of(secret.encode()) for secret in made) == 32


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
        ("k:", "entry 1 is not id:secret"),
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
