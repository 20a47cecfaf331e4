"""What stands in a request's JSON body: read strictly, so that what is sent by mistake is told and not dropped.

UTF-8 and nothing else, a member once, no NaN, and only members that contract.py declares. msgspec judges the members by
their types; its own decoder takes a member that is there twice, so the standard library reads the text.
"""

from __future__ import annotations

import functools
import json
from typing import Any, NoReturn, TypeVar

import msgspec
from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from verifier.api.contract import Body
from verifier.domain.errors import InvalidRequest, MalformedRequest

# As deploy/proxy/nginx.conf has it.
MAX_BODY_BYTES = 8 * 1024
_MOST_OF_A_NAME = 40
_BOM = b"\xef\xbb\xbf"

B = TypeVar("B", bound=Body)


def read_body(kind: type[B]) -> B:
    """Read the body as this kind of object. Nothing at all is an empty object, for kinds that may be empty.

    Raises:
        UnsupportedMediaType, RequestEntityTooLarge: from werkzeug.
        MalformedRequest: it is no JSON.
        InvalidRequest: a member is missing, unknown or of the wrong type; the sentence names it.
    """
    request.max_content_length = MAX_BODY_BYTES
    data = request.get_data()
    names, required = _members_of(kind)
    if not data and not required:
        return kind()
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    value = _parsed(data)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        _explain(value, names, required)


def said_beside(body: Body, *names: str) -> str:
    """Return what a body says beside the named members, so that two that say the same give the same text."""
    said = msgspec.structs.asdict(body).items()
    rest = sorted((name, value) for name, value in said if value is not msgspec.UNSET and name not in names)
    return json.dumps(rest) if rest else ""


def _parsed(data: bytes) -> Any:
    if data.startswith(_BOM):
        raise MalformedRequest("The body begins with a byte order mark. Send it as UTF-8 without one.")
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedRequest("The body is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"The body is not valid JSON: it can't be read from line {error.lineno}, column {error.colno} on."
        ) from None
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply to be read.") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRequest(f"The member {shown(twice)} is there more than once.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedRequest(f"The body is not valid JSON: {name} is not a number there.")


# No member is a number, so that it is one is all that matters: one of ten thousand digits is not worth converting.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_repeats,
    parse_int=lambda _: 0,
    parse_float=lambda _: 0.0,
    parse_constant=_refuse_constant,
)


def _explain(value: Any, names: tuple[str, ...], required: tuple[str, ...]) -> NoReturn:
    """Say in a sentence what is wrong with members that msgspec refused; its own are not for people."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"Send a JSON object{_with(required)}.")
    for name in value:
        if name not in names:
            takes = f"This request takes {_listed(names)}." if names else "This request takes none."
            raise InvalidRequest(f"There is no member {shown(name)} here. {takes}")
    for name in required:
        if name not in value:
            raise InvalidRequest(f"Send a JSON object{_with(required)}.")
    wrong = next((name for name in value if not isinstance(value[name], str)), next(iter(value)))
    raise InvalidRequest(f'The member "{wrong}" must be a string.')


def shown(name: str) -> str:
    """Return a name that somebody sent, short and without anything that could change how a line is read."""
    short = name if len(name) <= _MOST_OF_A_NAME else f"{name[:_MOST_OF_A_NAME]}..."
    return json.dumps(short)


@functools.cache
def _members_of(kind: type[Body]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of all members, and of those that have to be there."""
    fields = msgspec.structs.fields(kind)
    return tuple(each.encode_name for each in fields), tuple(
        each.encode_name for each in fields if each.required
    )


def _with(names: tuple[str, ...]) -> str:
    return f" with the member {_listed(names)}" if names else ""


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(f'"{name}"' for name in names)
