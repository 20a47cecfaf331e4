"""Times, figures and other people's words on a wall."""

from __future__ import annotations

import pytest

from verifier.ops.page.wording import amount, brief, kind, memory, span, without_addresses
from verifier.store.history import EventKind


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_spans(seconds: float, said: str) -> None:
    """One unit is enough."""
    assert span(seconds) == said


def test_figures() -> None:
    """Short, whatever they are."""
    assert [amount(each) for each in (0, 7.4, 1250, 48_000)] == ["0", "7", "1,250", "48 k"]
    assert (memory(None, 1), memory(1 << 20, 0), memory(1 << 20, 2 << 20)) == ("", "1.0 MiB", "1.0 of 2 MiB")


@pytest.mark.parametrize(
    "words", ["550 5.1.1 <eve@example.net>: no such user", "eve@example.net is unknown", "to:eve@example.net"]
)
def test_nobodys_address_is_on_the_wall(words: str) -> None:
    """Relays quote them."""
    assert "eve" not in without_addresses(words)
    assert "(address)" in without_addresses(words)


def test_a_long_explanation_becomes_its_first_sentence() -> None:
    """The rest is in the log."""
    assert (
        brief("a:1 does not answer: Error 111 connecting to a:1. Connection refused.")
        == "a:1 does not answer"
    )
    assert len(brief("word " * 100)) <= 160


def test_every_event_has_a_name() -> None:
    """One that is added later, too."""
    assert all(kind(each) for each in EventKind)
