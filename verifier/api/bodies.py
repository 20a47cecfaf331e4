"""What stands in a request's JSON body."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from verifier.domain.errors import InvalidRequest


def text_in_body(name: str) -> str:
    """Return one text of the JSON object in the body.

    Raises:
        UnsupportedMediaType, BadRequest, InvalidRequest: there is none; RequestEntityTooLarge.
    """
    if not request.is_json:
        raise UnsupportedMediaType
    body = _body()
    if not isinstance(body, dict) or name not in body:
        raise InvalidRequest(f'Send a JSON object with the member "{name}".')
    return _text(body, name)


def text_in_body_or_none(name: str) -> str | None:
    """Return one text of the JSON object in the body; None where it has no such member, or is no JSON at all.

    Raises:
        BadRequest, InvalidRequest: it is JSON that can't be read, or no text; RequestEntityTooLarge.
    """
    if not request.is_json or not request.get_data(cache=True):
        return None
    body = _body()
    return _text(body, name) if isinstance(body, dict) and name in body else None


def _body() -> Any:
    try:
        return request.get_json()
    except (UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not readable as JSON.") from None


def _text(body: dict[str, Any], name: str) -> str:
    if not isinstance(body[name], str):
        raise InvalidRequest(f'The member "{name}" must be a string.')
    return str(body[name])
