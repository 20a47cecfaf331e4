"""The development mailbox reads whatever mails look like."""

from __future__ import annotations

import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from verifier.dev.mailbox import code_in, init_app
from verifier.dev.maildir import Mail, newest_mails


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


@pytest.mark.parametrize(
    ("subject", "code"),
    [("123456 is your Example code", "123456"), ("Welcome", ""), ("Order 12345678901", "")],
)
def test_the_code_of_a_mail_is_found(subject: str, code: str) -> None:
    """It is what the mailbox offers to copy."""
    assert code_in(Mail("k", 0, "", subject, "", "", "")) == code


def test_the_mailbox_is_read_only(app_with_mailbox: Flask) -> None:
    """Nothing but reading."""
    for path in ("/dev/mailbox", "/dev/mailbox.json"):
        assert app_with_mailbox.test_client().post(path).status_code == 405
        assert app_with_mailbox.test_client().delete(path).status_code == 405


def test_the_mailbox_is_shown(app_with_mailbox: Flask, box: mailbox.Maildir) -> None:
    """As JSON for scripts; the HTML of a mail never reaches the page."""
    box.add(mail("123456 is your code", "<script>alert(1)</script>\n", "<img src=x onerror=alert(2)>"))
    client = app_with_mailbox.test_client()
    (shown,) = client.get("/dev/mailbox.json").json
    assert (shown["to"], shown["subject"]) == ("ada@example.org", "123456 is your code")
    assert "alert(1)" in shown["text"]
    page = client.get("/dev/mailbox").text
    assert "&lt;script&gt;alert(1)" in page
    assert "alert(2)" not in page
    assert 'data-copy="123456"' in page


@pytest.fixture
def app_with_mailbox(box: mailbox.Maildir) -> Flask:
    """A bare app with the mailbox and what its page needs of the pages."""
    app = Flask("verifier")
    app.context_processor(lambda: {"service_name": "Example"})
    app.add_url_rule("/", "web.home", lambda: "")
    init_app(app, path_of(box))
    return app
