"""Which addresses are the API's."""

from __future__ import annotations


def is_for_api(path: str) -> bool:
    """Return whether a path is the API's, also where nothing is there."""
    return path.startswith("/v1/")
