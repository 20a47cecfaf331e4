"""Judging a password while Redis is away, when operators need the page most."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import pytest

from sentinel import MasterLink, TransientError
from verifier.domain.errors import LimitReached
from verifier.domain.keys import KeyRing
from verifier.ops.page.passwords import Passwords
from verifier.settings import Settings

PASSWORD = "9vX-hb3Kq_Zt7wLr"


class Away:
    """A link to a Redis that is away."""

    def run(self, *_: object, **__: object) -> None:
        """Fail."""
        raise TransientError("Redis is away.")


def passwords(clock: Any) -> Passwords:
    keys = KeyRing("k", {"k": hashlib.sha256(b"tests").hexdigest().encode()})
    settings = Settings(keys=keys, ops_password=PASSWORD)
    return Passwords(settings, lambda: cast("MasterLink", Away()), clock)


def test_the_right_one_opens_and_wrong_ones_are_counted_here() -> None:
    """Five tries for a network within ten minutes, whatever other networks do."""
    now = [0.0]
    ours = passwords(lambda: now[0])
    for _ in range(5):
        assert not ours.is_right("wrong", "192.0.2.1")
    with pytest.raises(LimitReached, match="Too many passwords"):
        ours.is_right(PASSWORD, "192.0.2.99")
    assert ours.is_right(PASSWORD, "198.51.100.1")
    now[0] += 601
    assert ours.is_right(PASSWORD, "192.0.2.1")


def test_thousands_of_networks_take_no_memory() -> None:
    """Beyond a bound nobody new is let in until some are forgotten."""
    ours = passwords(lambda: 0.0)
    refused = 0
    for number in range(1100):
        try:
            ours.is_right("wrong", f"10.{number // 250}.{number % 250}.1")
        except LimitReached:
            refused += 1
    assert refused == 100
    assert len(ours._tries) <= 1000


def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Right or wrong; where it came from is."""
    caplog.set_level("DEBUG")
    ours = passwords(lambda: 0.0)
    ours.is_right(PASSWORD, "192.0.2.1")
    ours.is_right("nearly-" + PASSWORD, "192.0.2.1")
    assert PASSWORD not in caplog.text
    assert "192.0.2.1" in caplog.text
