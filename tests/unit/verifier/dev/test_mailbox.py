"""The development mailbox as pages and as JSON."""

from __future__ import annotations

import mailbox
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from verifier import languages
from verifier.dev.mailbox import MAIL_POLICY, code_in, init_app, link_in
from verifier.dev.maildir import Mail
from verifier.web.security import csrf

HTML = "<html><head><title>x</title></head><body><img src=x onerror=alert(2)></body></html>"


@pytest.fixture
def box(tmp_path: Path) -> mailbox.Maildir:
    """An empty Maildir."""
    return mailbox.Maildir(tmp_path / "mail")


@pytest.fixture
def client(box: mailbox.Maildir, tmp_path: Path) -> FlaskClient:
    """A bare app with the mailbox and what its pages need of the others."""
    app = Flask("verifier")
    app.config.update(SECRET_KEY="x" * 32, WTF_CSRF_CHECK_DEFAULT=False)
    csrf.init_app(app)
    languages.init_app(app)
    app.context_processor(lambda: {"service_name": "Example"})
    app.add_url_rule("/", "web.home", lambda: "")
    init_app(app, tmp_path / "mail", "Mails go to relay.example.")
    return app.test_client()


def deliver(box: mailbox.Maildir, to: str = "ada@example.org", subject: str = "123456 is your code") -> str:
    """Deliver a mail with a script in its text and HTML; return its name."""
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content("<script>alert(1)</script> https://verify.example.org/verify/1#code=123456.\n")
    message.add_alternative(HTML, subtype="html")
    return box.add(message)


def token_on(page: str) -> str:
    """Return the token of the form on a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("subject", "code"),
    [("123456 is your Example code", "123456"), ("Welcome", ""), ("Order 12345678901", "")],
)
def test_the_code_of_a_mail_is_found(subject: str, code: str) -> None:
    """It is what the mailbox offers to copy."""
    assert code_in(Mail("k", 0, "", subject, "", "", "")) == code


def test_the_link_of_a_mail_is_found() -> None:
    """Without the full stop behind it; other schemes are none."""
    assert (
        link_in(Mail("k", 0, "", "", "see (https://a.example/x#code=1).", "", ""))
        == "https://a.example/x#code=1"
    )
    assert link_in(Mail("k", 0, "", "", "javascript:alert(1)", "", "")) == ""


def test_the_list_has_the_code_at_a_glance_and_nothing_of_the_html(
    client: FlaskClient, box: mailbox.Maildir
) -> None:
    """Above it stands where mails really go."""
    key = deliver(box)
    page = client.get("/dev/mailbox").text
    assert 'data-copy="123456"' in page
    assert f"/dev/mailbox/{key}" in page
    assert "Mails go to relay.example." in page
    assert '<html lang="en">' in page
    assert "<footer" not in page, "it speaks no other language"
    assert "alert(" not in page


def test_a_mail_is_shown_in_three_ways(client: FlaskClient, box: mailbox.Maildir) -> None:
    """HTML in a frame of its own, text, and the source as it came."""
    key = deliver(box)
    first = client.get(f"/dev/mailbox/{key}").text
    assert f'src="/dev/mailbox/{key}/html"' in first
    assert "alert(2)" not in first
    assert "&lt;script&gt;alert(1)" in client.get(f"/dev/mailbox/{key}?view=text").text
    assert "Content-Type: multipart/alternative" in client.get(f"/dev/mailbox/{key}?view=source").text
    assert client.get(f"/dev/mailbox/{key}?view=else").text == first
    assert client.get("/dev/mailbox/nowhere").status_code == 404
    assert client.get("/dev/mailbox/nowhere/html").status_code == 404


def test_the_html_of_a_mail_can_do_nothing(client: FlaskClient, box: mailbox.Maildir) -> None:
    """No script, no origin, nothing from elsewhere; its links open outside of the frame."""
    answer = client.get(f"/dev/mailbox/{deliver(box)}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == MAIL_POLICY
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<head><base target="_blank">' in answer.text


def test_scripts_read_page_by_page(client: FlaskClient, box: mailbox.Maildir) -> None:
    """A list as before; how many there are and where the next ones stand is in the headers."""
    for number in range(5):
        deliver(
            box, to=f"{'grace' if number % 2 else 'ada'}@example.org", subject=f"10000{number} is your code"
        )
    answer = client.get("/dev/mailbox.json?to=ada&limit=2")
    assert [mail["code"] for mail in answer.json] == ["100004", "100002"]
    assert answer.headers["X-Total-Count"] == "3"
    following = answer.headers["Link"].partition("<")[2].partition(">")[0]
    last = client.get(following)
    assert [mail["code"] for mail in last.json] == ["100000"]
    assert "Link" not in last.headers
    assert client.get("/dev/mailbox.json").json[0]["to"] == "ada@example.org"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1001", "offset=-1", "limit=", "limit=\u0661", "limit=" + "9" * 99]
)
def test_a_number_that_is_none_is_refused_with_a_sentence(client: FlaskClient, query: str) -> None:
    """For a script that would otherwise wait for mails on the wrong page."""
    answer = client.get(f"/dev/mailbox.json?{query}")
    assert answer.status_code == 400
    assert "limit must be a number" in answer.json["error"]


def test_it_is_cleared_by_a_form_with_its_token_and_by_scripts(
    client: FlaskClient, box: mailbox.Maildir
) -> None:
    """All, or only what the filter shows."""
    for to in ("ada@example.org", "grace@example.org", "grace@example.org", "eve@example.org"):
        deliver(box, to)
    assert client.post("/dev/mailbox/clear", data={"to": ""}).status_code == 400
    page = client.get("/dev/mailbox?to=grace").text
    assert "Remove these" in page
    answer = client.post("/dev/mailbox/clear", data={"to": "grace", "csrf_token": token_on(page)})
    assert answer.status_code == 303
    assert {mail["to"] for mail in client.get("/dev/mailbox.json").json} == {
        "ada@example.org",
        "eve@example.org",
    }
    assert client.delete("/dev/mailbox.json?to=ada").status_code == 204
    assert client.delete("/dev/mailbox.json").status_code == 204
    assert client.get("/dev/mailbox.json").json == []
    assert "No mail yet" in client.get("/dev/mailbox").text


def test_pages_of_many_mails(client: FlaskClient, box: mailbox.Maildir) -> None:
    """Fifty each; a number that is none leads to one that is there."""
    for number in range(60):
        deliver(box, subject=f"mail {number}.")
    first, second = client.get("/dev/mailbox").text, client.get("/dev/mailbox?page=2").text
    assert (first.count("<article>"), second.count("<article>")) == (50, 10)
    assert "mail 59." in first
    assert "mail 0." in second
    for page in ("0", "-3", "x", "99999999999999999999"):
        assert client.get(f"/dev/mailbox?page={page}").status_code == 200
