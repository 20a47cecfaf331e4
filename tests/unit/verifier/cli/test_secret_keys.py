"""`flask secret-keys new`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from verifier.cli.secret_keys import secret_keys_group
from verifier.domain.keys import parse_keys


@pytest.mark.parametrize(("words", "key_id"), [([], "k1"), (["k2"], "k2")])
def test_the_line_for_the_settings_is_printed(words: list[str], key_id: str) -> None:
    """Nothing else, so that a shell can export it; each time with another secret."""
    lines = {CliRunner().invoke(secret_keys_group, ["new", *words]).output for _ in range(2)}
    assert len(lines) == 2
    for line in lines:
        name, _, keys = line.strip().partition("=")
        assert name == "VERIFIER_SECRET_KEYS"
        assert parse_keys(keys).current == key_id
        assert parse_keys(keys).weak_ids() == []


def test_a_wrong_id_is_refused() -> None:
    """With a sentence."""
    done = CliRunner().invoke(secret_keys_group, ["new", "k:1"])
    assert done.exit_code == 2
    assert "1 to 32 letters" in done.output
