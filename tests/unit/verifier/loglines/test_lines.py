"""How lines look: JSON or text, with what they are about, and none that somebody else wrote."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from verifier.loglines import LogFormat, LogSettings, about, early_settings, formatter_for


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A log of its own, whose records go to no other."""
    made = logging.getLogger("verifier.lines")
    made.propagate = False
    made.setLevel(logging.DEBUG)
    yield made
    made.handlers.clear()
    made.propagate = True


@pytest.fixture(autouse=True)
def _no_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def _into(
    log: logging.Logger, settings: LogSettings, stream: io.StringIO, *, for_a_person: bool = False
) -> io.StringIO:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter_for(settings, stream, for_a_person=for_a_person))
    log.addHandler(handler)
    return stream


def _as_json(log: logging.Logger, **settings: Any) -> io.StringIO:
    return _into(log, LogSettings(format=LogFormat.JSON, **settings), io.StringIO())


def test_a_json_line_says_when_where_and_what_about(log: logging.Logger) -> None:
    """The time in UTC; what it is about only while it is."""
    written = _as_json(log)
    with about(request_id="r-1", verification_id="v-1", nothing=""):
        log.warning("Relay %s fails", "mx:25")
    log.info("Done")
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first.pop("pid") > 0
    assert first == {
        "level": "warning",
        "logger": "verifier.lines",
        "message": "Relay mx:25 fails",
        "request_id": "r-1",
        "verification_id": "v-1",
    }
    assert "request_id" not in second


def test_addresses_are_masked_in_values_and_tracebacks(log: logging.Logger) -> None:
    """Of libraries too, which know nothing of it; and a traceback shows no variables."""
    written = _as_json(log)
    password = "hunter2"
    try:
        int("550 <alice@example.org> unknown")
    except ValueError:
        log.exception("Could not mail %s", "alice@example.org", extra={"path": "/verify/alice@example.org"})
    assert "alice" not in written.getvalue()
    assert password not in written.getvalue()
    line = json.loads(written.getvalue())
    assert line["message"] == "Could not mail a***@example.org"
    assert line["path"] == "/v***@example.org"
    assert "<a***@example.org> unknown" in line["exception"]


def test_addresses_are_in_full_where_that_is_wanted(log: logging.Logger) -> None:
    """By the setting."""
    written = _as_json(log, shows_addresses=True)
    log.info("to %s", "alice@example.org")
    assert json.loads(written.getvalue())["message"] == "to alice@example.org"


@pytest.mark.parametrize("format_", [LogFormat.JSON, LogFormat.TEXT])
def test_nobody_forges_a_line_or_commands_a_terminal(log: logging.Logger, format_: LogFormat) -> None:
    """Line breaks are escaped or indented, and control characters shown by their codes."""
    written = _into(log, LogSettings(format=format_), io.StringIO())
    log.info(
        "Path /a\n2026-01-01T00:00:00Z [error    ] forged \x1b[2J\x9b\r\u2028.", extra={"path": "\x1b[2J\n"}
    )
    text = written.getvalue()
    assert [line for line in text.split("\n") if line.startswith("2026-01-01T00:00:00Z")] == []
    assert not any(each in text for each in "\x1b\x9b\r\u2028")


@pytest.mark.parametrize(
    ("format_", "stream", "for_a_person", "is_json"),
    [
        (LogFormat.AUTO, io.StringIO, False, True),
        (LogFormat.AUTO, io.StringIO, True, False),
        (LogFormat.AUTO, Terminal, False, False),
        (LogFormat.JSON, Terminal, True, True),
        (LogFormat.TEXT, io.StringIO, False, False),
    ],
)
def test_who_reads_along_gets_text(
    log: logging.Logger, format_: LogFormat, stream: type[io.StringIO], is_json: bool, for_a_person: bool
) -> None:
    """On a terminal, or where a person started the command; a setting goes first."""
    written = _into(log, LogSettings(format=format_), stream(), for_a_person=for_a_person)
    log.info("Done")
    assert written.getvalue().startswith("{") is is_json


@pytest.mark.parametrize(
    ("stream", "no_color", "has_colours"),
    [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)],
)
def test_colours_are_for_terminals_of_those_who_want_them(
    log: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    no_color: str,
    has_colours: bool,
) -> None:
    """As https://no-color.org has it: set and not empty."""
    monkeypatch.setenv("NO_COLOR", no_color)
    written = _into(log, LogSettings(format=LogFormat.TEXT), stream())
    log.info("Done")
    assert ("\x1b[" in written.getvalue()) is has_colours


def test_early_settings_come_from_the_environment_then_from_the_file(tmp_path: Path) -> None:
    """Or from a file that one of them names; a wrong value is as usual, since its sentence comes later."""
    dotenv, level = tmp_path / ".env", tmp_path / "level"
    dotenv.write_text("VERIFIER_LOG_FORMAT=text\nVERIFIER_LOG_ADDRESSES=full\n")
    level.write_text("debug\n")
    environ = {"VERIFIER_LOG_FORMAT": "json", "VERIFIER_LOG_LEVEL_FILE": str(level)}
    assert early_settings(environ, dotenv) == LogSettings(LogFormat.JSON, logging.DEBUG, shows_addresses=True)
    wrong = {"VERIFIER_LOG_FORMAT": "xml", "VERIFIER_LOG_LEVEL": "loud"}
    assert early_settings(wrong, tmp_path / "none") == LogSettings()
