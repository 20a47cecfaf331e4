"""The keys of the API: made, known by their digest, read from the settings."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.api_keys import ApiKeys, digest_of, entry_of, is_api_key, new_api_key, parse_api_keys


def test_a_new_key_is_random_and_known_by_its_entry() -> None:
    """What the command prints for the settings knows what it prints for the user, and holds nothing of it."""
    key, other = new_api_key(), new_api_key()
    keys = parse_api_keys(entry_of("shop", key))
    assert is_api_key(key)
    assert len({key, other}) == 2
    assert keys.name_of(key) == "shop"
    assert keys.name_of(other) is None
    assert key.removeprefix("verifier_") not in entry_of("shop", key)
    assert entry_of("shop", key) == f"shop:{hashlib.sha256(key.encode()).hexdigest()}"


def test_two_keys_of_a_name_are_good_while_one_replaces_the_other() -> None:
    """And a removed one is nobody's."""
    old, new = new_api_key(), new_api_key()
    both = parse_api_keys(f"{entry_of('shop', old)}, {entry_of('shop', new)}")
    assert (both.name_of(old), both.name_of(new)) == ("shop", "shop")
    assert parse_api_keys(entry_of("shop", new)).name_of(old) is None


def test_no_text_is_no_key() -> None:
    """Nobody comes in by a setting that is empty."""
    assert not parse_api_keys("")
    assert ApiKeys().name_of("") is None


def test_digests_are_not_shown() -> None:
    """Settings end up in tracebacks."""
    key = new_api_key()
    assert digest_of(key).hex() not in repr(parse_api_keys(entry_of("shop", key)))


DIGEST = "0a" * 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shop", "entry 1 is not name:sha256"),
        (f"a:{DIGEST},", "entry 2 is not name:sha256"),
        (f":{DIGEST}", "entry 1 is not name:sha256"),
        (f"my shop:{DIGEST}", "entry 1 is not name:sha256"),
        (f"-shop:{DIGEST}", "entry 1 is not name:sha256"),
        (f"{'a' * 41}:{DIGEST}", "entry 1 is not name:sha256"),
        ("shop:0a0a", r"entry 1 \(shop\) has no SHA-256"),
        (f"shop:{'0g' * 32}", r"entry 1 \(shop\) has no SHA-256"),
        (f"a:{DIGEST},b:{DIGEST.upper()}", r"entry 2 \(b\) is there twice"),
    ],
)
def test_a_malformed_entry_is_named(text: str, reason: str) -> None:
    """By its number."""
    with pytest.raises(ValueError, match=reason):
        parse_api_keys(text)


@pytest.mark.parametrize("form", ["{0}", "shop:{0}"])
def test_a_key_in_the_settings_is_refused_and_not_repeated(form: str) -> None:
    """Somebody pasted the wrong line; the sentence ends up in a log."""
    key = new_api_key()
    with pytest.raises(ValueError, match="entry 1 holds a key itself") as refusal:
        parse_api_keys(form.format(key))
    assert key not in str(refusal.value)


@given(st.text(max_size=120))
def test_whatever_stands_in_the_setting_is_keys_or_a_value_error(text: str) -> None:
    """Nothing else is raised."""
    try:
        keys = parse_api_keys(text)
    except ValueError:
        return
    assert bool(keys) == bool(text.strip())
