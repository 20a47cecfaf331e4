"""The development mailbox reads whatever mails look like."""

from __future__ import annotations

import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest

from verifier.dev.maildir import count_mails, find_mail, newest_mails, remove_mails, source_of


@pytest.fixture
def box(tmp_path: Path) -> mailbox.Maildir:
    """An empty Maildir."""
    return mailbox.Maildir(tmp_path / "mail")


def path_of(box: mailbox.Maildir) -> Path:
    """Where a Maildir is."""
    return Path(box._path)  # type: ignore[attr-defined]


def mail(subject: str, text: str = "Hello\n", html: str | None = None) -> EmailMessage:
    """A mail as Flask-Mail makes it."""
    message = EmailMessage()
    message["To"], message["Subject"], message["Message-ID"] = "ada@example.org", subject, "<1@example.org>"
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


def test_no_maildir_is_an_empty_mailbox(tmp_path: Path) -> None:
    """Before the first mail, nothing is there, and reading makes nothing."""
    assert newest_mails(tmp_path / "mail") == []
    assert not (tmp_path / "mail").exists()


def test_mails_come_newest_first_and_bounded(box: mailbox.Maildir) -> None:
    """Also those of the same moment."""
    for number in range(12):
        box.add(mail(f"mail {number}"))
    subjects = [each.subject for each in newest_mails(path_of(box), limit=10)]
    assert subjects == [f"mail {number}" for number in range(11, 1, -1)]


def test_mails_are_found_by_whom_they_are_for(box: mailbox.Maildir) -> None:
    """By a part of the address, in any letter case, page by page."""
    for number in range(6):
        message = mail(f"mail {number}")
        message.replace_header("To", f"{'Grace' if number % 2 else 'ada'}@example.org")
        box.add(message)
    path = path_of(box)
    assert [each.subject for each in newest_mails(path, to="grace@")] == ["mail 5", "mail 3", "mail 1"]
    assert [each.subject for each in newest_mails(path, 1, offset=1, to="GRACE")] == ["mail 3"]
    assert (count_mails(path), count_mails(path, to="grace"), count_mails(path, to="nobody")) == (6, 3, 0)
    remove_mails(path, newest_mails(path, None, to="grace"))
    assert [each.subject for each in newest_mails(path)] == ["mail 4", "mail 2", "mail 0"]


def test_a_mail_is_found_by_its_name_and_nothing_else_is(box: mailbox.Maildir) -> None:
    """A name is never taken for a path."""
    key = box.add(mail("here"))
    path = path_of(box)
    (path / "new" / "..").joinpath("secret").write_text("outside")
    found = find_mail(path, key)
    assert found is not None
    assert found.subject == "here"
    assert b"Subject: here" in (source_of(path, key) or b"")
    for name in ("../secret", "", ".", "new/" + key, "nowhere"):
        assert find_mail(path, name) is None
        assert source_of(path, name) is None


def test_both_bodies_of_a_mail_are_read(box: mailbox.Maildir) -> None:
    """Text and HTML, with what is not ASCII."""
    box.add(mail("Grüße 你好", "Grüße\n", "<p>Grüße</p>"))
    (read,) = newest_mails(path_of(box))
    assert (read.to, read.subject, read.message_id) == ("ada@example.org", "Grüße 你好", "<1@example.org>")
    assert (read.text.strip(), read.html.strip()) == ("Grüße", "<p>Grüße</p>")
    assert read.received_at > 0


def test_headers_of_smtputf8_mails_are_read(box: mailbox.Maildir) -> None:
    """Their bytes are UTF-8 as they are, without an encoded word."""
    box.add("To: jürgen@exämple.org\nSubject: Grüße\n\nHello\n".encode())
    (read,) = newest_mails(path_of(box))
    assert (read.to, read.subject) == ("jürgen@exämple.org", "Grüße")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00\n\n\xff",
        b"Content-Type: text/plain; charset=klingon\n\nqapla'\n",
        b"Content-Type: text/plain; charset=ascii\nContent-Transfer-Encoding: 8bit\n\n\xff\xfe\n",
        b"Content-Type: multipart/mixed; boundary=x\n\nnever opened",
        b"To: <<<,;:@@\nSubject: =?utf-8?q?=ff?= =?x?y?z?=\n\nHello\n",
        b"Content-Type: application/octet-stream\n\nbytes",
    ],
)
def test_broken_mails_do_not_break_the_mailbox(box: mailbox.Maildir, raw: bytes) -> None:
    """A broken mail is shown as far as it goes, beside the others."""
    box.add(mail("a good one"))
    box.add(raw)
    assert "a good one" in [each.subject for each in newest_mails(path_of(box))]
    assert len(newest_mails(path_of(box))) == 2


def test_foreign_files_come_last(box: mailbox.Maildir) -> None:
    """A name that tells no time is no reason to fail."""
    (path_of(box) / "new" / "copied-by-hand").write_bytes(b"Subject: foreign\n\nHello\n")
    box.add(mail("ours"))
    assert [each.subject for each in newest_mails(path_of(box))] == ["ours", "foreign"]


def test_mails_that_vanish_are_left_out(box: mailbox.Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody empties the mailbox while it is read."""
    gone = box.add(mail("gone"))
    box.add(mail("here"))
    keys = box.keys()
    box.remove(gone)
    monkeypatch.setattr(mailbox.Maildir, "keys", lambda _: keys)
    assert [each.subject for each in newest_mails(path_of(box))] == ["here"]
