"""Reading a Maildir that somebody else delivers into at this moment, whatever the mails look like."""

from __future__ import annotations

import email
import mailbox
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default as modern_policy
from pathlib import Path

NEWEST = 200
_KEY = re.compile(r"(\d+)\.M(\d+)P\d+Q(\d+)\b")


@dataclass(frozen=True)
class Mail:
    """One mail of the mailbox; `received_at` in Unix time, `key` is its name in the Maildir."""

    key: str
    received_at: float
    to: str
    subject: str
    text: str
    html: str
    message_id: str


def newest_mails(maildir: Path, limit: int = NEWEST) -> list[Mail]:
    """Return the newest mails, newest first; none where nothing was delivered yet."""
    if not (maildir / "new").is_dir():
        return []
    box = mailbox.Maildir(maildir, factory=None, create=False)
    keys = sorted(box.keys(), key=arrival, reverse=True)[:limit]
    return list(_read_all(box, keys))


def arrival(key: str) -> tuple[float, int]:
    """Read out of a mail's name when it arrived, and as which of its process."""
    match = _KEY.match(key)
    if match is None:
        return 0.0, 0
    seconds, microseconds, number = (int(part) for part in match.groups())
    return seconds + microseconds / 1e6, number


def _read_all(box: mailbox.Maildir, keys: list[str]) -> Iterator[Mail]:
    for key in keys:
        try:
            content = box.get_bytes(key)
        except (KeyError, FileNotFoundError):
            continue  # removed while we looked
        yield _read(key, content)


def _read(key: str, content: bytes) -> Mail:
    message = email.message_from_bytes(content, policy=modern_policy)
    return Mail(
        key=key,
        received_at=arrival(key)[0],
        to=_header(message, "To"),
        subject=_header(message, "Subject"),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        message_id=_header(message, "Message-ID"),
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except Exception:  # noqa: BLE001 - the library's parser fails in many ways on broken headers
        return str(dict(message.raw_items()).get(name, ""))


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown character set, or bytes that are not in it
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
