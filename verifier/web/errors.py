"""Error pages: each says what happened and offers a way on; nothing of the inside is shown.

When the service can't reach Redis, the page tries again by itself: a read by reloading, a form by being
sent again with everything that was typed.
"""

from __future__ import annotations

import random
from http import HTTPStatus

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from verifier.api import is_for_api, problems
from verifier.domain.errors import ServiceUnavailable, VerifierError
from verifier.domain.words import Words, words
from verifier.logs import refused
from verifier.web.form_tokens import FIELD

MAX_RESUBMISSIONS = 10
RESUBMISSIONS = "resubmissions"
REPLACES = "replaces"
SURE = "sure"
# What was typed, what it stands for, and the token by which the same request is known.
_KEPT_FIELDS = ("email", "code", REPLACES, SURE, FIELD)

_NOTHING = Words("")
_WORDS = {
    400: (
        words("This request could not be read"),
        words("Your browser sent something that the service can't read. Please start again."),
    ),
    404: (
        words("Page not found"),
        words("There is nothing at this address. Perhaps the link was cut off, or it is an old one."),
    ),
    405: (
        words("Please use the form"),
        words("This address only answers when a form is sent to it. Please start again."),
    ),
    413: (
        words("Too large"),
        words("What was sent is too large for this form, so nothing was done. An email address is short."),
    ),
    500: (
        words("Something went wrong"),
        words(
            "Something went wrong on our side. The people who run this service find the error in their log."
        ),
    ),
}


# What makes no sense in itself, so that no person and no backend sends it by mistake for long.
_NONSENSE = frozenset({400, 401, 404, 405, 413, 414, 415, 431})


def init_app(app: Flask) -> None:
    """Answer all errors that nobody else answers; those of the API stay the API's."""
    app.after_request(_count_nonsense)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(VerifierError, verifier_error)


def _count_nonsense(response: Response) -> Response:
    if response.status_code in _NONSENSE:
        refused(response.status)
    return response


def http_error(error: HTTPException) -> Response:
    """Answer an error of HTTP itself, or one that nobody foresaw (500)."""
    if is_for_api(request.path):
        return problems.of_http_error(error)
    status = error.code or 500
    title, sentence = _WORDS.get(status) or (Words(HTTPStatus(status).phrase), _NOTHING)
    response = error_page(status, title, sentence)
    response.headers.update(problems.allowed_methods(error))
    return response


def verifier_error(error: VerifierError) -> Response:
    """Answer an error of the domain that no form can show."""
    if is_for_api(request.path):
        return problems.of_verifier_error(error)
    if isinstance(error, ServiceUnavailable):
        return unavailable_page(error)
    response = error_page(error.status, error.title, error.sentence)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def error_page(status: int, title: Words, sentence: Words) -> Response:
    """Make a page with a sentence and a way on."""
    return make_response(render_template("error.html", title=title, sentence=sentence), status)


def unavailable_page(error: ServiceUnavailable) -> Response:
    """Make the page that explains and tries again by itself."""
    wait_s = error.retry_after_s or 5
    page = render_template(
        "unavailable.html",
        error=error,
        is_form=request.method == "POST",
        # Spread out, so that those who wait do not all come back in the same moment.
        wait_s=wait_s + random.randrange(max(2, wait_s)),
        typed={name: request.form[name] for name in _KEPT_FIELDS if name in request.form},
        resubmissions=_resubmissions() + 1,
        max_resubmissions=MAX_RESUBMISSIONS,
    )
    response = make_response(page, error.status)
    response.headers["Retry-After"] = str(wait_s)
    return response


def _resubmissions() -> int:
    """Return how often this form has sent itself again."""
    text = request.form.get(RESUBMISSIONS, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
