"""The mail with the code: what it says, what stands in its headers, and what cannot get in."""

from __future__ import annotations

import email
import email.policy
import email.utils
import html
import re
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from verifier.domain.addresses import normalise_address
from verifier.domain.errors import InvalidAddress
from workers.mail.addresses import parse_sender, recipient_address
from workers.mail.mailer import Mailer
from workers.mail.message import build, life_in_words, serialise, subject
from workers.mail.template import Template
from workers.smtp.outgoing_mail import OutgoingMail

NOW = 1_795_356_000.0
NAMES = [
    "Verifier",
    "Café & Söhne",
    "日本語のサービス",
    "A <b>bold</b> name",
    "100 % O'Neill",
    "ß" * 60,
]


def mailer(service_name: str = "Verifier", sender: str = "Verifier <no-reply@example.org>") -> Mailer:
    return Mailer(sender, service_name)


def render(
    ours: Mailer, to: str = "someone@example.com", code: str = "042195", life: float = 600.0
) -> OutgoingMail:
    return ours.render("4fQz_-9aB", to, code, expires_in_s=life, now=NOW)


def parsed(mail: OutgoingMail) -> EmailMessage:
    return email.message_from_bytes(mail.payload, policy=email.policy.SMTPUTF8)  # type: ignore[return-value]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content()


@pytest.mark.parametrize("name", NAMES)
def test_the_subject_is_the_code_first(name: str) -> None:
    """It shows in a notification, in any script."""
    assert parsed(render(mailer(name)))["Subject"] == f"042195 is your {name} code"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "sender",
    [
        "Verifier <no-reply@example.org>",
        "Größe <x@exämple.org>",
        '"Söhne, Inc." <a@b.example>',
        "a@b.example",
    ],
)
@pytest.mark.parametrize(("language", "life"), [("en", "10 minutes"), ("ko", "10분")])
def test_the_fast_way_makes_the_same_mail_as_flask_mail(
    name: str, sender: str, language: str, life: str
) -> None:
    """Every header and both bodies equal those of a message built whole for this one mail."""
    mail = mailer(name, sender).render(
        "4fQz_-9aB", "someone@example.com", "042195", expires_in_s=600, now=NOW, language=language
    )
    whole = build(
        parse_sender(sender),
        name,
        site=name,
        to="someone@example.com",
        message_id=mail.message_id,
        code="042195",
        life=life,
        life_in_html=life,
        language=language,
        date=NOW,
    )
    fast = parsed(mail)
    slow: EmailMessage = email.message_from_bytes(serialise(whole), policy=email.policy.SMTPUTF8)  # type: ignore[assignment]
    assert fast.keys() == slow.keys()
    for header in set(fast.keys()) - {"Content-Type"}:
        assert fast[header] == slow[header], header
    assert fast.get_content_type() == slow.get_content_type()
    for kind in ("plain", "html"):
        assert html.unescape(body(fast, kind)) == html.unescape(body(slow, kind))
        assert "042195" in body(fast, kind)
        assert life in html.unescape(body(fast, kind))


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_leads_to_its_page_with_the_code_behind_the_hash(name: str) -> None:
    """In both forms, whole whatever the encoding; a browser sends nothing of what stands behind the #."""
    ours = Mailer("Verifier <no-reply@example.org>", name, pages_at=f"https://{'a' * 60}.example.org/verify/")
    page = "0123456789abcdef" * 2
    mail = ours.render("4fQz_-9aB", "someone@example.com", "042195", expires_in_s=600, now=NOW, page=page)
    link = f"https://{'a' * 60}.example.org/verify/{page}#code=042195"
    message = parsed(mail)
    assert body(message, "plain").splitlines().count(link) == 1
    assert f'href="{link}"' in body(message, "html")
    assert mail.payload.isascii()
    for line in mail.payload.partition(b"quoted-printable")[2].partition(b"--=")[0].split(b"\r\n"):
        assert len(line) <= 76
    assert "https://" not in body(parsed(render(ours)), "plain"), "this one has no page"


def test_a_korean_mail_is_korean_throughout() -> None:
    """Subject, both forms, and what the HTML says of its language; nothing English is left but the service's name."""
    ours = Mailer(
        "Verifier <no-reply@example.org>", "Verifier", pages_at="https://verify.example.org/verify/"
    )
    mail = ours.render(
        "4fQz_-9aB", "a@b.example", "042195", expires_in_s=600, now=NOW, page="p" * 32, language="ko"
    )
    message = parsed(mail)
    assert message["Subject"] == "042195 Verifier 인증번호"
    assert '<html lang="ko">' in body(message, "html")
    text = body(message, "plain").replace(f"https://verify.example.org/verify/{'p' * 32}#code=042195", "")
    assert "10분 동안 한 번만 사용할 수 있습니다." in text
    assert set(re.findall(r"[A-Za-z]+", text)) == {"Verifier"}
    assert "10분" in html.unescape(body(message, "html"))
    assert mail.payload.isascii()
    for line in mail.payload.partition(b"quoted-printable")[2].partition(b"--=")[0].split(b"\r\n"):
        assert len(line) <= 76


def test_a_language_that_is_not_spoken_here_is_english() -> None:
    """A newer release may have written it into the record."""
    spoken = mailer().render("4fQz_-9aB", "a@b.example", "042195", expires_in_s=60, now=NOW, language="xx")
    assert parsed(spoken)["Subject"] == "042195 is your Verifier code"


@pytest.mark.parametrize("page", ["../x", "a b", "a" * 65, "a\n", "ä"])
def test_a_page_has_a_plain_name(page: str) -> None:
    """Anything else would be another address."""
    with pytest.raises(ValueError, match="plain name"):
        mailer().render("4fQz_-9aB", "a@b.example", "042195", expires_in_s=600, now=NOW, page=page)


def test_two_forms_of_the_text_and_nothing_around_them() -> None:
    """A multipart/mixed is for attachments, and some mailboxes show a paper clip for it."""
    message = parsed(render(mailer()))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("Verifier <a@b.example>", "Verifier"),
        ("a@b.example", ""),
        ('"Smith, Inc. (Ltd)" <a@b.example>', "Smith, Inc. (Ltd)"),
        ("Größe <a@b.example>", "Größe"),
    ],
)
def test_the_sender_is_shown_as_set(sender: str, name: str) -> None:
    """With commas, brackets and other letters in its name."""
    mail = render(mailer(sender=sender))
    (address,) = parsed(mail)["From"].addresses
    assert (address.display_name, address.addr_spec, mail.sender) == (name, "a@b.example", "a@b.example")


@pytest.mark.parametrize("name", NAMES)
def test_every_relay_can_take_it(name: str) -> None:
    """Plain ASCII, CRLF, short lines: no 8BITMIME needed."""
    payload = render(mailer(name)).payload
    assert payload.isascii()
    assert payload.count(b"\r\n") == payload.count(b"\n") == payload.count(b"\r")
    assert max(map(len, payload.split(b"\r\n"))) <= 998


def test_the_headers_tell_machines_what_it_is() -> None:
    """No out-of-office replies, one To, a date, our name."""
    message = parsed(render(mailer()))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["To"] == "someone@example.com"
    assert message["From"] == "Verifier <no-reply@example.org>"
    assert email.utils.parsedate_to_datetime(message["Date"]).timestamp() == NOW
    assert message["MIME-Version"] == "1.0"


def test_the_message_id_is_the_deliverys_own() -> None:
    """By the name it is given, at the sender's domain."""
    mail = render(mailer())
    assert mail.message_id == parsed(mail)["Message-ID"] == "<4fQz_-9aB@example.org>"


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_the_mail_names_the_site_that_asked(kind: str) -> None:
    """The holder of the API key where there is one, else the service itself."""
    ours = mailer("Example")
    there = ours.render("m", "a@example.com", "042195", expires_in_s=600, now=NOW, site="shop.example.org")
    for mail, site in ((there, "shop.example.org"), (render(ours), "Example"), (there, "shop.example.org")):
        text = re.sub("<[^>]+>", "", body(parsed(mail), kind))
        assert f"Type it where you were asked for it: at {site}." in text
    assert parsed(there)["Subject"] == "042195 is your Example code"


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_the_words_help_the_person(kind: str) -> None:
    """How long it lives, what to do if it was not asked for; no link, nothing fetched from elsewhere."""
    text = body(parsed(render(mailer())), kind)
    assert "It works for" in text
    assert "You did not ask for it there?" in text
    for fetched in ("http:", "https:", "src=", "href=", "url("):
        assert fetched not in text


def test_the_html_shows_a_name_and_does_not_run_it() -> None:
    """Markup in the service's name is text."""
    html = body(parsed(render(mailer("A <b>bold</b> name"))), "html")
    assert "A &lt;b&gt;bold&lt;/b&gt; name" in html
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (600, "10 minutes"),
        (599.9, "10 minutes"),
        (590, "9 minutes"),
        (120, "2 minutes"),
        (61, "1 minute"),
        (10, "1 minute"),
        (7200, "120 minutes"),
    ],
)
def test_the_life_told_is_the_life_left_in_whole_minutes(seconds: float, words: str) -> None:
    """Rounded down, but for the last minute and for a few seconds on the way."""
    assert str(life_in_words(seconds)) == words
    assert f"It works for {words}, and only once." in body(parsed(render(mailer(), life=seconds)), "plain")


@pytest.mark.parametrize(
    "name",
    ["", "  ", "a\nBcc: x@example.com", "a\r\nb", "a\x00b", "x" * 61, "a\u2028b", " a", "=?utf-8?q?x?="],
)
def test_a_service_name_that_could_break_a_header_is_refused(name: str) -> None:
    """In a sentence, at the start."""
    with pytest.raises(ValueError, match=r"service's name must be one line"):
        mailer(name)


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "nobody",
        "A\nBcc: b@example.com <a@example.com>",
        "a@b.example\r\n",
        "jürgen@example.com",
        "a@b, c@d",
        "A <a b@c>",
    ],
)
def test_a_sender_that_could_break_a_header_is_refused(sender: str) -> None:
    """In a sentence, at the start."""
    with pytest.raises(ValueError, match="sender"):
        mailer(sender=sender)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b@c.example",
        "A <a@example.com>",
        "a@example.com, b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\n",
        "a@exa mple.com",
        'a"b@example.com',
        "a(comment)@example.com",
        "a@[127.0.0.1]",
        "a;b@example.com",
        "a@b:c",
        "a\u0085b@example.com",
        "a\u2028b@example.com",
        "x" * 250 + "@example.com",
        "=?utf-8?q?a=40b?=@example.com",
    ],
)
def test_an_address_that_could_break_a_header_is_refused(address: str) -> None:
    """Nothing of it gets into a mail."""
    with pytest.raises(ValueError, match="not one plain email address"):
        render(mailer(), to=address)


@pytest.mark.parametrize(
    ("name", "code"),
    [("a@b", "123456"), ("a\r\nb", "123456"), ("", "1"), ("a", "12\r\n34"), ("a", "")],
)
def test_a_name_or_code_that_could_break_a_header_is_refused(name: str, code: str) -> None:
    """They are checked long before; here once more."""
    with pytest.raises(ValueError, match="needs a name and a code"):
        mailer().render(name, "a@example.com", code, expires_in_s=600, now=NOW)


@given(st.text(max_size=40))
def test_no_address_adds_a_line(address: str) -> None:
    """Either refused, or one To header and nothing else changed."""
    try:
        mail = render(OURS, to=address)
    except ValueError:
        return
    lines = mail.payload.decode().split("\r\n")
    assert [line for line in lines if line.startswith("To: ")] == [f"To: {mail.recipient}"]
    assert len(lines) == len(render(OURS).payload.decode().split("\r\n"))


OURS = mailer()


def test_a_domain_in_other_letters_goes_out_in_ascii() -> None:
    """Every relay takes that."""
    mail = render(mailer(), to="someone@bücher.example")
    assert (mail.recipient, mail.needs_smtputf8) == ("someone@xn--bcher-kva.example", False)
    assert parsed(mail)["To"] == "someone@xn--bcher-kva.example"


def test_a_local_part_in_other_letters_needs_smtputf8() -> None:
    """The To header holds it as it is."""
    mail = render(mailer(), to="jürgen@bücher.example")
    assert (mail.recipient, mail.needs_smtputf8) == ("jürgen@xn--bcher-kva.example", True)
    assert "\r\nTo: jürgen@xn--bcher-kva.example\r\n".encode() in mail.payload


def test_a_domain_that_is_none_is_refused() -> None:
    """However it is written."""
    with pytest.raises(ValueError, match="not a valid name"):
        recipient_address("a@ü..example")


def test_the_plain_subject_is_as_promised() -> None:
    """Readers and filters rely on its form."""
    assert subject("123456", "Verifier") == "123456 is your Verifier code"


def test_a_template_refuses_a_token_that_an_encoding_swallowed() -> None:
    """Better no start than mails without a code."""
    with pytest.raises(ValueError, match="code did not survive"):
        Template(b"hello=\r\n", {"code": b"zc1"}, {"code": 1})
    with pytest.raises(ValueError, match="998"):
        Template(b"x" * 999, {}, {})


_ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~."
_LETTERS = st.characters(min_codepoint=0x21, max_codepoint=0x2FFFF)


@given(
    local=st.text(st.sampled_from(_ATEXT) | _LETTERS, min_size=1, max_size=70)
    | st.from_regex(r"[a-z]{0,2}=\?[a-z0-9-]{0,6}\?[qQbB]\?[a-z=0-9]{0,9}(\?=)?[a-z]{0,2}", fullmatch=True),
    labels=st.lists(
        st.text(st.sampled_from("ab1-ü") | _LETTERS, min_size=1, max_size=20), min_size=1, max_size=8
    ),
    top=st.sampled_from(["test", "org", "example", "广告", "рф", "xn--p1ai"]),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@example(local="ada", labels=["bücher"], top="test")
@example(local="用户", labels=["ß" * 60] * 3, top="test")
@example(local="a\u0958" * 20, labels=["\u0958"], top="org")
@example(local="=?utf-8?q?ada?=", labels=["example"], top="org")
def test_whatever_the_form_accepts_is_mailed(local: str, labels: list[str], top: str) -> None:
    """With the longest and strangest of names: a finished mail, whose reader sees this one address."""
    try:
        accepted = normalise_address(f"{local}@{'.'.join(labels)}.{top}", for_tests=True)
    except InvalidAddress:
        return
    mail = render(OURS, to=accepted)
    assert recipient_address(accepted).spec == mail.recipient
    [seen] = parsed(mail)["To"].addresses
    # The reader has the bytes of other letters as surrogates.
    assert seen.addr_spec.encode("utf-8", "surrogateescape").decode() == mail.recipient
