"""Sentences for people, in English, with what is filled in kept apart: whoever shows one can look for it in a catalogue.

`str()` gives the English, which logs and tests use. A sentence that is made with `words` or `counted` is found by
`make translations`, so its text stands in the call as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Catalogue(Protocol):
    """The sentences of one language, as `gettext.GNUTranslations` and Babel have them."""

    def gettext(self, message: str, /) -> str:
        """Return the sentence in the language; as it is where it is not there."""

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str:
        """Return the form of the sentence for a number."""


@dataclass(frozen=True)
class Words:
    """A sentence, or a part of one. `values` are filled in by name, after they were put into the same language."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)
    many: str = ""
    """The form for other numbers than one, where there is a `count` among the values."""

    def __str__(self) -> str:
        """Return it in English."""
        return self._filled(self._english(), None)

    def in_language(self, catalogue: Catalogue) -> str:
        """Return it as a catalogue has it."""
        if self.many:
            return self._filled(catalogue.ngettext(self.text, self.many, self._count), catalogue)
        return self._filled(catalogue.gettext(self.text), catalogue)

    @property
    def _count(self) -> int:
        return int(str(self.values["count"]))

    def _english(self) -> str:
        return self.many if self.many and self._count != 1 else self.text

    def _filled(self, text: str, catalogue: Catalogue | None) -> str:
        if not self.values:
            return text
        return text % {name: _in_language(value, catalogue) for name, value in self.values.items()}


def words(text: str, **values: object) -> Words:
    """Return a sentence with `%(name)s` for each value."""
    return Words(text, values)


def counted(one: str, many: str, count: int, **values: object) -> Words:
    """Return a sentence that depends on a number, which stands in it as `%(count)s`."""
    return Words(one, {**values, "count": count}, many)


def _in_language(value: object, catalogue: Catalogue | None) -> object:
    if isinstance(value, Words):
        return value.in_language(catalogue) if catalogue else str(value)
    return value
