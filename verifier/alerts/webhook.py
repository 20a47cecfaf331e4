"""One alert as JSON, and one POST of it.

The `text` is what Slack and Mattermost show, so they take it as it is. The URL is a secret: neither a result nor a log
line holds it. Redirects are not followed, since nobody said where they may lead.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import Message
from http.client import HTTPException
from typing import IO, Any

from verifier.alerts.book import Entry, State
from verifier.alerts.catalogue import Alert, Severity

ANSWER_WITHIN_S = 5.0
TEST = Alert("Test", Severity.WARNING)


def payload(alert: Alert, state: State, sentence: str, since: float, service: str) -> dict[str, str]:
    """Return what is posted; `since` is a Unix time."""
    began = datetime.fromtimestamp(since, UTC)
    over = "" if state is State.FIRING else "It is over: "
    return {
        "name": alert.name,
        "state": state.value,
        "severity": alert.severity.value,
        "sentence": f"{over}{sentence}",
        "since": began.isoformat(timespec="seconds"),
        "service": service,
        "runbook": alert.runbook,
        "text": _for_chats(
            f"[{state.upper()}] {service}: {alert.name} ({alert.severity}). {over}{sentence} "
            f"Since {began:%Y-%m-%d %H:%M:%S} UTC. Runbook: {alert.runbook}"
        ),
    }


def payload_of(alert: Alert, entry: Entry, service: str) -> dict[str, str]:
    """Return what is posted of an entry."""
    return payload(alert, entry.to_tell or State.FIRING, entry.sentence, entry.since, service)


def post(url: str, body: dict[str, str]) -> str | None:
    """Post it, within some five seconds; return None where it was taken, else why not, in a sentence without the URL."""
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "User-Agent": "verifier-alerts"},
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirects())
    try:
        with opener.open(request, timeout=ANSWER_WITHIN_S):
            return None
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}: {_words_of(error)}".rstrip(": ")
    except urllib.error.URLError as error:
        return _why(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _why(error)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow none: the answer stands as an error."""


def _words_of(error: urllib.error.HTTPError) -> str:
    """Return the beginning of an answer, such as `invalid_token`, on one line."""
    try:
        text = error.read(200).decode("utf-8", "replace")
    except (OSError, HTTPException):
        return ""
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _why(error: Any) -> str:
    """Return an error in our own words, because its text may hold the URL."""
    if isinstance(error, TimeoutError):
        return "it gave no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return f"the connection failed: {error.strerror}"
    return f"its answer was not understood ({type(error).__name__})"


def _for_chats(text: str) -> str:
    """Escape what would be a link or a call to everybody there: a relay's words may stand in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
