"""In which language an answer speaks, and its sentences in that language.

What was chosen on a page goes before what the browser asks for; a program is answered in what it asks for.
"""

from __future__ import annotations

from flask import Flask, g, request
from flask_babel import Babel, get_locale

from verifier.catalogues import SOURCE, catalogue_of, known_language, languages
from verifier.domain.words import Words


def init_app(app: Flask) -> None:
    """Let templates translate what stands in them, and offer the languages."""
    Babel(app, locale_selector=_select)
    app.jinja_env.filters["said"] = said
    app.context_processor(lambda: {"language": current_language(), "languages": languages()})


def choose(language: str) -> None:
    """Have this answer speak a language, whatever the browser asks for."""
    g.language = language


def current_language() -> str:
    """Return the language of this answer."""
    return str(get_locale() or SOURCE)


def said(sentence: Words | str) -> str:
    """Return a sentence in the language of this answer; a text is none of ours, and stays as it is."""
    if isinstance(sentence, Words):
        return sentence.in_language(catalogue_of(current_language()))
    return sentence


def _select() -> str:
    chosen = g.get("language")
    if chosen:
        return str(chosen)
    asked_for = (known_language(tag) for tag, quality in request.accept_languages if quality > 0)
    return next(filter(None, asked_for), SOURCE)
