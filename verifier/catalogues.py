"""The languages that pages and mails speak, each a catalogue of sentences: `translations/<language>/LC_MESSAGES`.

English is what the code is written in and has none. Another language is one more catalogue, which `make translations`
fills with the sentences that are to be translated; nothing else names it.
"""

from __future__ import annotations

import re
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from babel import Locale
from babel.support import Translations

from verifier.domain.words import Catalogue

DIRECTORY = Path(__file__).parent / "translations"
SOURCE = "en"
LONGEST_TAG = 35  # RFC 5646, 4.4.1: what every program should take
_TAG = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")


@cache
def languages() -> dict[str, str]:
    """Return the languages by their code, each with its own name for itself."""
    found = sorted(path.parts[-3] for path in DIRECTORY.glob("*/LC_MESSAGES/messages.mo"))
    return {code: str(Locale.parse(code).get_display_name(code)) for code in (SOURCE, *found)}


def known_language(tag: str) -> str | None:
    """Return our language for a tag such as `ko`, `ko-KR` or `ko_KR` (BCP 47); None where we speak none like it.

    What is longer leads to what is shorter (RFC 4647, 3.4). Babel would look for a file for each tag, and a header can hold a
    thousand of them.
    """
    wanted = tag.strip().replace("_", "-")
    if len(tag) > LONGEST_TAG or not _TAG.fullmatch(wanted):
        return None
    ours = {code.replace("_", "-").lower(): code for code in languages()}
    subtags = wanted.lower().split("-")
    shorter = ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
    return next((ours[each] for each in shorter if each in ours), None)


@cache
def catalogue_of(language: str) -> Catalogue:
    """Return the sentences of a language; English ones where we do not speak it, or not any more."""
    if language == SOURCE or language not in languages():
        return NullTranslations()
    return Translations.load(DIRECTORY, [language])
