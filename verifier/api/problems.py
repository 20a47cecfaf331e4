"""Errors as RFC 9457 problem details: `application/problem+json` with a stable `code`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from verifier.domain.errors import VerifierError
from verifier.domain.words import words
from verifier.languages import said
from verifier.loglines import current_request_id

CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
}

DETAILS = {
    400: words("This is not a request that can be read."),
    404: words("There is nothing at this address. Verifications live at /v1/verifications/<id>."),
    405: words("This address does not support that method."),
    413: words("The body is larger than 8 KiB."),
    415: words("Send the body as application/json."),
    500: words("Something went wrong on our side; the error is in the log for the operators."),
}


def problem(  # noqa: PLR0917 - what a problem detail has
    status: int,
    code: str,
    title: str,
    detail: str,
    retry_after_s: int | None = None,
    members: Mapping[str, str] | None = None,
) -> Response:
    """Make a problem response."""
    body = body_of(status, code, title, detail, members)
    response = Response(json.dumps(body) + "\n", status=status, content_type="application/problem+json")
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def body_of(
    status: int, code: str, title: str, detail: str, members: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a problem; `type` is about:blank, so `title` and `code` tell what it is, and `members` more of it.

    By its `request_id` operators find the request in their log.
    """
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    known = current_request_id()
    return {**body, **(members or {}), **({"request_id": known} if known else {})}


def of_verifier_error(error: VerifierError) -> Response:
    """Make the problem response for an error of the domain."""
    return problem(
        error.status, error.code, said(error.title), said(error.sentence), error.retry_after_s, error.members
    )


def of_http_error(error: HTTPException) -> Response:
    """Make the problem response for an error of HTTP itself."""
    status = error.code or 500
    detail = said(DETAILS.get(status) or error.description or "")
    response = problem(status, CODES.get(status, "http_error"), HTTPStatus(status).phrase, detail)
    response.headers.update(allowed_methods(error))
    return response


def allowed_methods(error: HTTPException) -> dict[str, str]:
    """Return the Allow header of an error that has one (405)."""
    return {name: value for name, value in error.get_headers() if name.lower() == "allow"}
