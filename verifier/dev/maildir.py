"""Reading a Maildir that somebody else delivers into at this moment, whatever the mails look like."""

from __future__ import annotations

import email
import functools
import mailbox
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default as modern_policy
from itertools import islice
from pathlib import Path

NEWEST = 200
# As many as the mail server keeps.
MOST_MAILS = 1000
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


def newest_mails(maildir: Path, limit: int | None = NEWEST, *, offset: int = 0, to: str = "") -> list[Mail]:
    """Return the newest mails, newest first; none where nothing was delivered yet.

    Args:
        maildir: where they are.
        limit: so many at the most; None for all.
        offset: so many of the newest are left out.
        to: only those whose recipient's address contains this, in any letter case.
    """
    wanted = to.casefold()
    mails = (mail for mail in _all_mails(maildir) if wanted in mail.to.casefold())
    return list(islice(mails, offset, None if limit is None else offset + limit))


def count_mails(maildir: Path, *, to: str = "") -> int:
    """Return how many there are, or how many are addressed so; see `newest_mails`."""
    if not to:
        return len(_keys(maildir))
    return len(newest_mails(maildir, None, to=to))


def find_mail(maildir: Path, key: str) -> Mail | None:
    """Return the mail of that name; None where there is none."""
    if key not in _keys(maildir):
        return None
    try:
        return _read(maildir, key)
    except (KeyError, FileNotFoundError):
        return None


def source_of(maildir: Path, key: str) -> bytes | None:
    """Return a mail as it came; None where there is none of that name."""
    if key not in _keys(maildir):
        return None
    try:
        return _box(maildir).get_bytes(key)
    except (KeyError, FileNotFoundError):
        return None


def remove_mails(maildir: Path, mails: Sequence[Mail]) -> None:
    """Remove them; those that are gone already are none of our business."""
    if not _keys(maildir):
        return
    box = _box(maildir)
    for mail in mails:
        box.discard(mail.key)


def arrival(key: str) -> tuple[float, int]:
    """Read out of a mail's name when it arrived, and as which of its process."""
    match = _KEY.match(key)
    if match is None:
        return 0.0, 0
    seconds, microseconds, number = (int(part) for part in match.groups())
    return seconds + microseconds / 1e6, number


def _box(maildir: Path) -> mailbox.Maildir:
    return mailbox.Maildir(maildir, factory=None, create=False)


def _keys(maildir: Path) -> list[str]:
    """Return the names of all mails, newest first."""
    if not (maildir / "new").is_dir():
        return []
    return sorted(_box(maildir).keys(), key=arrival, reverse=True)


def _all_mails(maildir: Path) -> Iterator[Mail]:
    for key in _keys(maildir):
        try:
            yield _read(maildir, key)
        except (KeyError, FileNotFoundError):
            continue  # removed while we looked


# A mail never changes, and a page that is live reads the same ones time and again.
@functools.lru_cache(maxsize=MOST_MAILS)
def _read(maildir: Path, key: str) -> Mail:
    message = email.message_from_bytes(_box(maildir).get_bytes(key), policy=modern_policy)
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
