"""The language that somebody chose by a link on a page: it stands in the session, and every later page speaks it."""

from __future__ import annotations

from flask import Flask, request, session

from verifier.api import is_for_api
from verifier.catalogues import known_language
from verifier.languages import choose

PARAMETER = "language"


def init_app(app: Flask) -> None:
    """Look for a choice before anything is answered."""
    app.before_request(_follow_choice)


def _follow_choice() -> None:
    if is_for_api(request.path) or request.endpoint == "static":
        return
    asked_for = known_language(request.args.get(PARAMETER, ""))
    if asked_for:
        session[PARAMETER] = asked_for
    chosen = asked_for or known_language(str(session.get(PARAMETER, "")))
    if chosen:
        choose(chosen)
