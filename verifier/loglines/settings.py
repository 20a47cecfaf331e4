"""How the log is written, as settings: VERIFIER_LOG_FORMAT, VERIFIER_LOG_LEVEL and VERIFIER_LOG_ADDRESSES.

They are needed before all other settings are read, since those have something to log. So `early_settings` reads them
by itself and takes the usual value for a wrong one; `verifier/settings` reads them again, and names what is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

PREFIX = "VERIFIER_LOG_"
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Value = TypeVar("Value")


class LogFormat(StrEnum):
    """How lines look; `auto` is text where a person reads along, else JSON."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class LogSettings:
    """How the log is written; `level` as `logging` has it."""

    format: LogFormat = LogFormat.AUTO
    level: int = logging.INFO
    shows_addresses: bool = False


def log_format(text: str) -> LogFormat:
    """Read a format. Raises ValueError."""
    try:
        return LogFormat(text.lower())
    except ValueError:
        raise ValueError("must be json, text or auto") from None


def log_level(text: str) -> int:
    """Read a level. Raises ValueError."""
    try:
        return _LEVELS[text.lower()]
    except KeyError:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}") from None


def shows_addresses(text: str) -> bool:
    """Read whether addresses stand in the log in full. Raises ValueError."""
    match text.lower():
        case "masked":
            return False
        case "full":
            return True
    raise ValueError("must be masked or full")


def early_settings(environ: Mapping[str, str], dotenv: Path = Path(".env")) -> LogSettings:
    """Read them from the environment, then from a `.env` file; whatever can't be read is as usual."""
    in_file = dotenv_values(dotenv) if dotenv.is_file() else {}

    def read(name: str, parse: Callable[[str], Value], usual: Value) -> Value:
        for source in (environ, in_file):
            text = (source.get(PREFIX + name) or "").strip()
            path = (source.get(f"{PREFIX}{name}_FILE") or "").strip()
            with suppress(ValueError, OSError):
                if path and not text:
                    text = Path(path).read_text(encoding="utf-8").strip()
                if text:
                    return parse(text)
        return usual

    return LogSettings(
        format=read("FORMAT", log_format, LogSettings.format),
        level=read("LEVEL", log_level, LogSettings.level),
        shows_addresses=read("ADDRESSES", shows_addresses, LogSettings.shows_addresses),
    )
