"""Sentences with values: in English by themselves, in a language by its catalogue."""

from __future__ import annotations

import pytest

from verifier.domain.words import Words, counted, words


class Shouting:
    """A catalogue of one language without plurals."""

    def gettext(self, message: str) -> str:
        """Return it loudly."""
        return message.upper().replace("%(SPAN)S", "%(span)s").replace("%(COUNT)S", "%(count)s")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 - the interface's signature
        """Return the form for many."""
        return self.gettext(msgid2)


@pytest.mark.parametrize(
    ("sentence", "english", "loud"),
    [
        (words("100% sure."), "100% sure.", "100% SURE."),
        (words("In %(span)s.", span="<x>"), "In <x>.", "IN <x>."),
        (counted("%(count)s day", "%(count)s days", 1), "1 day", "1 DAYS"),
        (
            words("In %(span)s.", span=counted("%(count)s day", "%(count)s days", 3)),
            "In 3 days.",
            "IN 3 DAYS.",
        ),
    ],
)
def test_a_sentence_is_filled_in(sentence: Words, english: str, loud: str) -> None:
    """What is filled in is put into the same language, where it is words."""
    assert str(sentence) == english
    assert sentence.in_language(Shouting()) == loud
