"""Which requests of `flask run` get a line in its log: not those that pages and scripts make by themselves, time and again."""

from __future__ import annotations

import logging
import re

# A probe, a file of a page, a page that looks whether something has changed. Whatever went wrong stays.
_BY_ITSELF = re.compile(
    r'"GET /(?:healthz|livez|servez|readyz|metrics|static/\S*|dev/mailbox\.json\S*|ops/state\S*|verify/\w+/delivery\S*)'
    r' HTTP/[\d.]+" (?:200|304) '
)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


class ByItself(logging.Filter):
    """Drops the development server's line for each request that nobody made by hand."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line may stay."""
        return not _BY_ITSELF.search(_COLOUR.sub("", record.getMessage()))


def quieten_polling() -> None:
    """Filter the development server's log; a second call changes nothing."""
    server = logging.getLogger("werkzeug")
    if not any(isinstance(each, ByItself) for each in server.filters):
        server.addFilter(ByItself())
