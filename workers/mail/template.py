"""A serialised message with placeholders: built once by Flask-Mail, filled for each mail.

Kept by hand for its speed: building and serialising a `flask_mail.Message` costs about a millisecond, more
than sending it, and with this template a worker sends about three times as many mails. All mails of a service
differ only in a few words, so one message is built with tokens in their place, serialised, and cut at the
tokens. That is safe because each value is plain ASCII of a known form that reads the same in a header, in
7-bit and in quoted-printable text; `Template` refuses a serialised message in which an encoding, a folded
header or a template swallowed a token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_LONGEST_LINE = 998  # RFC 5322


class Template:
    """Literal pieces and named placeholders, in turn."""

    def __init__(self, message: bytes, tokens: Mapping[str, bytes], counts: Mapping[str, int]) -> None:
        """Split the message at its tokens. Raises ValueError where one is not there as often as `counts` says."""
        for name, token in tokens.items():
            if message.count(token) != counts[name]:
                raise ValueError(
                    f"The mail's {name} did not survive its encoding; shorten the line it is in."
                )
        if max(map(len, message.split(b"\r\n"))) > _LONGEST_LINE or not message.isascii():
            raise ValueError("The mail must be plain ASCII in lines of at most 998 characters.")
        names = {token: name for name, token in tokens.items()}
        pattern = b"(" + b"|".join(map(re.escape, names)) + b")"
        pieces = re.split(pattern, message)
        self._pieces = pieces
        self._placeholders = [(i, names[pieces[i]]) for i in range(1, len(pieces), 2)]

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        """Return the message with each placeholder filled."""
        pieces = self._pieces.copy()
        for i, name in self._placeholders:
            pieces[i] = values[name]
        return b"".join(pieces)
