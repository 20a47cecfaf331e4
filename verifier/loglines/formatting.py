"""From a record of the standard library to one line: JSON for machines, text for people.

A record has its message and, in `exception`, a plain traceback: without the values of variables, which may be
secrets. Nobody can forge a line: JSON escapes what is not printable, and text indents what follows a line break.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import cast

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from verifier.loglines.masking import masked

# What gunicorn.conf.py says of a request beside its message.
FIELDS = ("client", "caller", "method", "path", "status", "bytes", "duration_ms", "request_id")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def formatter_of(*, as_json: bool, colours: bool, shows_addresses: bool) -> logging.Formatter:
    """Return what makes lines of records."""
    renderer = _json_renderers() if as_json else _text_renderers(colours=colours)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ExtraAdder(allow=FIELDS),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _add_time_and_process,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *([] if shows_addresses else [_mask_all]),
            *renderer,
        ],
    )


def _json_renderers() -> list[Processor]:
    return [
        _without_colours,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]


def _text_renderers(*, colours: bool) -> list[Processor]:
    console = structlog.dev.ConsoleRenderer(
        colors=colours,
        pad_event_to=0,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_without_colours, _without_process, _printable, cast("Processor", console)]


def _add_time_and_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    event["timestamp"], event["pid"] = time.replace("+00:00", "Z"), record.process
    return event


def _mask_all(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: masked(value) if isinstance(value, str) else value for name, value in event.items()}


def _without_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take out what werkzeug's development server colours its lines with."""
    event["event"] = _COLOURS.sub("", str(event["event"]))
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
