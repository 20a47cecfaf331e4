"""The language that a backend wants the mails to have."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from verifier.catalogues import known_language, languages
from verifier.domain.errors import InvalidRequest
from verifier.domain.words import words


def read_locale(locale: str | UnsetType) -> str:
    """Return our language for it; empty where the body names none. Raises InvalidRequest where we do not speak it."""
    if locale is UNSET:
        return ""
    language = known_language(locale)
    if language is None:
        known = ", ".join(languages())
        raise InvalidRequest(
            words('The member "locale" must be a language of this service: %(known)s.', known=known)
        )
    return language
