"""From a record of the standard library to one line: JSON for machines, text for people.

A record has its message and, in `exception`, a plain traceback: without the values of variables, which may be
secrets. Nobody can forge a line: JSON escapes what is not printable, and text indents what follows a line break.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from verifier.loglines.context import what_it_is_about
from verifier.loglines.masking import masked, may_hold_address

# What gunicorn.conf.py says of a request beside its message.
FIELDS = ("client", "caller", "method", "path", "status", "bytes", "duration_ms", "request_id")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Escapes whatever is not ASCII.
_to_json = json.JSONEncoder(default=repr).encode


def formatter_of(*, as_json: bool, colours: bool, shows_addresses: bool) -> logging.Formatter:
    """Return what makes lines of records."""
    if as_json:
        return _JsonLines(shows_addresses=shows_addresses)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_add_what_is_known],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *([] if shows_addresses else [_mask_all]),
            *_text_renderers(colours=colours),
        ],
    )


class _JsonLines(logging.Formatter):
    """Makes a line of JSON of a record.

    By hand: two lines are written for each mail, and structlog's chain took as long as a tenth of accepting one.
    """

    def __init__(self, *, shows_addresses: bool) -> None:
        super().__init__()
        self._shows_addresses = shows_addresses

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break."""
        line = _what_is_known(record)
        line["message"] = _without_colours_in(record.getMessage())
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack_info"] = record.stack_info
        text = _to_json(line)
        if self._shows_addresses or not may_hold_address(text):
            return text
        return _to_json(
            {name: masked(value) if isinstance(value, str) else value for name, value in line.items()}
        )


def _what_is_known(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says beside its message."""
    known = dict[str, Any](what_it_is_about())
    given = vars(record)
    for name in FIELDS:
        if name in given:
            known[name] = given[name]
    known["level"] = record.levelname.lower()
    known["logger"] = record.name
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    known["timestamp"] = f"{time[:-6]}Z"
    known["pid"] = record.process
    return known


def _without_colours_in(message: str) -> str:
    """Take out what werkzeug's development server colours its lines with."""
    return _COLOURS.sub("", message) if "\x1b" in message else message


def _text_renderers(*, colours: bool) -> list[Processor]:
    console = structlog.dev.ConsoleRenderer(
        colors=colours,
        pad_event_to=0,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_without_colours, _without_process, _printable, cast("Processor", console)]


def _add_what_is_known(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.update(_what_is_known(event["_record"]))
    return event


def _mask_all(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: masked(value) if isinstance(value, str) else value for name, value in event.items()}


def _without_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["event"] = _without_colours_in(str(event["event"]))
    return event


def _without_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if name != "pid"}


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    lines = (_on_one_line(line) for line in str(event["event"]).split("\n"))
    event["event"] = "\n    ".join(lines)
    return event


def _on_one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
