"""In which language an answer speaks, and its sentences in that language."""

from __future__ import annotations

from flask import Flask
from flask_babel import Babel, get_domain

from verifier.domain.words import Words


def init_app(app: Flask) -> None:
    """Let templates translate what stands in them."""
    Babel(app)
    app.jinja_env.filters["said"] = said


def said(sentence: Words | str) -> str:
    """Return a sentence in the language of this answer; a text is none of ours, and stays as it is."""
    return sentence.in_language(get_domain().get_translations()) if isinstance(sentence, Words) else sentence
