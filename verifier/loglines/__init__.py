"""How a line of any process's log is made: web, gunicorn's parent, worker and commands all write them alike.

settings      how lines look, from which level on, and whether addresses stand in them; read before anything is logged
masking       addresses out of texts
context       what a line is about: the request, the verification
formatting    a record of the standard library to one line, by structlog: JSON or text
configuring   puts that formatter where lines are written

Whoever logs needs none of this: `logging.getLogger(__name__)`. gunicorn's parent process imports this package and none
of the app, so that a HUP still loads the app's code anew.
"""

from __future__ import annotations

from verifier.loglines.configuring import configure_logging, formatter_for
from verifier.loglines.context import about, current_request_id
from verifier.loglines.masking import masked
from verifier.loglines.settings import (
    LogFormat,
    LogSettings,
    early_settings,
    log_format,
    log_level,
    shows_addresses,
)

__all__ = [
    "LogFormat",
    "LogSettings",
    "about",
    "configure_logging",
    "current_request_id",
    "early_settings",
    "formatter_for",
    "log_format",
    "log_level",
    "masked",
    "shows_addresses",
]
