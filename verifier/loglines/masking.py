"""Addresses out of texts: of `alice@example.org` the log says `a***@example.org`.

The domain stays, since whose relay or resolver is in trouble is what operators look for. A mask rather hides too much
than too little: whatever stands right before an @ goes.
"""

from __future__ import annotations

import re

# A run before the @ is looked at once, from its beginning, so that a long one costs no more than its length.
_BEFORE = r"[^\s<>()\[\],:;\"\\@]"
_AN_ADDRESS = re.compile(rf"(?<!{_BEFORE})({_BEFORE}+?)(@|%40)")
_QUOTED = re.compile(r'"[^"\r\n]{1,64}"@')
_FIRST = re.compile(r"[^\W_]")


def may_hold_address(text: str) -> bool:
    """Return whether there is anything that may be the @ of an address."""
    return "@" in text or "%40" in text


def masked(text: str) -> str:
    """Return the text with each address in it masked; also one whose @ is written as %40."""
    if not may_hold_address(text):
        return text
    return _AN_ADDRESS.sub(_mask, _QUOTED.sub("***@", text))


def _mask(found: re.Match[str]) -> str:
    local = found[1]
    first = _FIRST.search(local)
    kept = local[: first.end()] if first and first.end() < len(local) else ""
    return f"{kept}***{found[2]}"
