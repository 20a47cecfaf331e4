"""Puts the formatter where lines are written: standard error."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from verifier.loglines.formatting import formatter_of
from verifier.loglines.settings import LogFormat, LogSettings

# Whose lines are worth reading at the level debug; what libraries say there may hold what they are told.
OURS = ("verifier", "workers", "sentinel")


def configure_logging(settings: LogSettings | None = None, *, for_a_person: bool = False) -> None:
    """Log to standard error; where the root logger has a handler already, that one stays and nothing is changed.

    Args:
        settings: how; by default as usual.
        for_a_person: whether `auto` means text in any case: a command's lines are read by whoever runs it.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    settings = settings or LogSettings()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter_for(settings, sys.stderr, for_a_person=for_a_person))
    root.addHandler(handler)
    root.setLevel(max(settings.level, logging.INFO))
    for name in OURS:
        logging.getLogger(name).setLevel(settings.level)
    logging.captureWarnings(capture=True)
    # No line tells them, and finding them out takes as long as writing one (the standard library's Logging HOWTO,
    # "Optimization").
    logging.logThreads = logging.logMultiprocessing = False
    # The module and the line that a record comes from: the HOWTO names this way, and no other.
    logging._srcfile = None  # noqa: SLF001


def formatter_for(
    settings: LogSettings, stream: TextIO | None, *, for_a_person: bool = False
) -> logging.Formatter:
    """Return the formatter for lines that go to a stream; None is one that is no terminal."""
    on_terminal = stream is not None and stream.isatty()
    as_json = settings.format is LogFormat.JSON
    if settings.format is LogFormat.AUTO:
        as_json = not (on_terminal or for_a_person)
    # https://no-color.org: set and not empty.
    colours = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return formatter_of(as_json=as_json, colours=colours, shows_addresses=settings.shows_addresses)
