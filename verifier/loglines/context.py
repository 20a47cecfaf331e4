"""What a line is about: each line that is logged within `about` carries its names and values, in this thread."""

from __future__ import annotations

from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars, get_contextvars


def about(**what: str) -> AbstractContextManager[None]:
    """Have the lines logged in a `with` block carry these; an empty value is left out."""
    return bound_contextvars(**{name: value for name, value in what.items() if value})


def current_request_id() -> str:
    """Return the id of the request that is served in this thread; an empty text outside of one."""
    return str(get_contextvars().get("request_id", ""))
