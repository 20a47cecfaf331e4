"""What a line is about: each line that is logged within `about` carries its names and values, in this thread.

One variable holds them all: it is read with every line, and set several times in each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})
_what: ContextVar[Mapping[str, str]] = ContextVar("what_lines_are_about", default=_NOTHING)


class about:  # noqa: N801 - read as a word: with about(...)
    """Have the lines logged in a `with` block carry these; an empty value is left out."""

    __slots__ = ("_token", "_what")

    def __init__(self, **what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        known = {**_what.get(), **{name: value for name, value in self._what.items() if value}}
        self._token: Token[Mapping[str, str]] = _what.set(known)

    def __exit__(self, *_: object) -> None:
        _what.reset(self._token)


def what_it_is_about() -> Mapping[str, str]:
    """Return the names and values of this moment."""
    return _what.get()


def current_request_id() -> str:
    """Return the id of the request that is served in this thread; an empty text outside of one."""
    return _what.get().get("request_id", "")
