"""Which addresses are accepted, and in which form they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.domain.addresses import MAX_ADDRESS_CHARACTERS, canonical_address, normalise_address
from verifier.domain.errors import InvalidAddress

ACCEPTED = {
    "a@example.org": "a@example.org",
    "  a@example.org ": "a@example.org",
    "Ann.Other+tag@EXAMPLE.Org": "Ann.Other+tag@example.org",
    "o'neil_{}|~#$&*/=?^`@example.org": "o'neil_{}|~#$&*/=?^`@example.org",
    "müller@BÜCHER.org": "müller@bücher.org",
    "a@xn--bcher-kva.org": "a@bücher.org",
    "a-b@example.org": "a-b@example.org",
    "用户@例子.广告": "用户@例子.广告",
    "e\u0301@example.org": "\u00e9@example.org",
    "a@\uff25\uff38\uff21\uff2d\uff30\uff2c\uff25.org": "a@example.org",
    "a=?b@example.org": "a=?b@example.org",
    "a@sub.domain.example.co.uk": "a@sub.domain.example.co.uk",
}

# Addresses that belong to nobody.
FOR_TESTS = {
    "anybody@somewhere.test": "anybody@somewhere.test",
    "ada@BÜCHER.test": "ada@bücher.test",
    "müller@BÜCHER.example": "müller@bücher.example",
    "a@xn--bcher-kva.example": "a@bücher.example",
}

REFUSED = [
    "ada%other.example@example.org",
    "ada%@example.org",
    "host!ada@example.org",
    "a!b%c@example.org",
    "-oQ/x@example.org",
    "-@example.org",
    "|program@example.org",
    "/var/mail/ada@example.org",
    "a@host.localhost",
    "a@host.onion",
    "a@host.alt",
    "a@1.0.0.127.in-addr.arpa",
    "",
    "   ",
    "a",
    "@",
    "@example.org",
    "a@",
    "a@@example.org",
    "a@localhost",
    "a@example",
    "a@.example.org",
    "a@example.org.",
    "a@example..org",
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    "a b@example.org",
    "a@exam ple.org",
    "a@exa_mple.org",
    "a@-example.org",
    "a@[127.0.0.1]",
    "a@[IPv6:::1]",
    '"a b"@example.org',
    "a(comment)@example.org",
    "Ann <a@example.org>",
    "<a@example.org>",
    "mailto:a@example.org",
    "a@example.org,b@example.org",
    "a@example.org b@example.org",
    "a@example.org\n",
    "a@example.org\r\nBcc: b@example.org",
    "a\t@example.org",
    "a\0@example.org",
    "a\x7f@example.org",
    "a\u00a0@example.org",
    "a\u200b@example.org",
    "a\u2028@example.org",
    "a\u202e@example.org",
    "a\ud800@example.org",
    "a@example\ud800.org",
    "a@example.invalid",
    "=?utf-8?q?ada?=@example.org",
    "=?utf-8?q?ada=40other=2Eexample?=@example.org",
    "x=?iso-8859-1?B?YQ==?=y@example.org",
    "a@printer.local",
    "a" * 65 + "@example.org",
    "a@" + "b" * 64 + ".org",
    "a@" + ".".join(["b" * 60] * 5) + ".org",
    "a" * 100_000,
    "@" * 100_000,
]


@pytest.mark.parametrize(("typed", "kept"), ACCEPTED.items())
def test_an_address_is_kept_in_its_normal_form(typed: str, kept: str) -> None:
    """The domain is lower case and in Unicode, the rest stays as typed but for NFC and blanks around it."""
    assert normalise_address(typed) == kept


@pytest.mark.parametrize(("typed", "kept"), FOR_TESTS.items())
def test_addresses_for_tests_are_accepted_in_tests_only(typed: str, kept: str) -> None:
    """Elsewhere they would be mails that nobody gets."""
    assert normalise_address(typed, for_tests=True) == kept
    with pytest.raises(InvalidAddress, match="No email gets to addresses at"):
        normalise_address(typed)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter your email address."),
        ("ada", "with an @ in it, like name@example.com."),
        ("ada example.org", "with an @ in it, like name@example.com."),
        ("ada lovelace@example.org", "without spaces, like name@example.com."),
        ("Ada <ada@example.org>", "without a name before it."),
        ("ada@example.org, bob@example.org", "Enter one email address only"),
        ("ada@example.org;bob@example.org", "Enter one email address only"),
        ("ada@example.org bob@example.org", "Enter one email address only"),
        ("ada@", "This email address is not complete."),
        ("@example.org", "This email address is not complete."),
        ("ada@example", "This email address is not complete."),
        ("ada@printer.local", "No email gets to addresses at printer.local."),
        ("ada@host.Alt", "No email gets to addresses at host.alt."),
        ("ada@LOCALHOST", "No email gets to addresses at localhost."),
        ("ada\u200b@example.org", "characters in it that could not be read."),
        ("ada@example..org", "Enter an email address like name@example.com."),
        ("ada%other@example.org", "Not all email programs"),
    ],
)
def test_a_slip_is_named(typed: str, sentence: str) -> None:
    """In our own words, which say what to do, and never in a library's."""
    with pytest.raises(InvalidAddress) as refusal:
        normalise_address(typed)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("typed", REFUSED, ids=lambda typed: ascii(typed[:40]))
def test_what_no_mail_can_be_sent_to_is_refused_with_a_sentence(typed: str) -> None:
    """The sentence is for people: it ends with a full stop and is not long."""
    with pytest.raises(InvalidAddress):
        normalise_address(typed, for_tests=True)
    with pytest.raises(InvalidAddress) as refusal:
        normalise_address(typed)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 300


def test_the_longest_address_is_accepted_and_one_more_character_is_not() -> None:
    """254 characters fit into the path of SMTP."""
    local = "a" * 64
    domain = ".".join(["b" * 61, "c" * 61, "d" * 61])
    longest = f"{local}@{domain}.ee"
    assert len(longest) == MAX_ADDRESS_CHARACTERS - 1
    assert normalise_address(longest + "e") == longest + "e"
    with pytest.raises(InvalidAddress, match="254"):
        normalise_address(longest + "ee")


@given(st.text(max_size=40) | st.from_regex(r"[a-z.\s\"<>,]{1,9}@[a-z.\s]{1,9}\.(org|test)", fullmatch=True))
def test_whatever_is_typed_ends_as_a_safe_address_or_as_a_refusal(typed: str) -> None:
    """Nothing else is raised, nothing accepted could end a header, and normalising again changes nothing."""
    try:
        kept = normalise_address(typed, for_tests=True)
    except InvalidAddress:
        return
    assert kept.isprintable()
    assert not set(kept) & set(' \t\r\n<>,;:"')
    assert kept.count("@") == 1
    assert not set(kept) & set("%!")
    assert normalise_address(kept, for_tests=True) == kept


@pytest.mark.parametrize(
    "written",
    ["ann@example.org", "Ann@example.org", "ANN@example.org", "ann+shop@example.org", "ann+a+b@example.org"],
)
def test_one_mailbox_is_counted_as_one(written: str) -> None:
    """However its address is written."""
    assert canonical_address(written) == "ann@example.org"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("a.nn@example.org", "a.nn@example.org"),
        ("a.n.n+x@gmail.com", "ann@gmail.com"),
        ("A.nn@googlemail.com", "ann@gmail.com"),
        ("+x@example.org", "+x@example.org"),
        ("stra\u00dfe@example.org", "strasse@example.org"),
    ],
)
def test_dots_count_but_for_gmail(written: str, canonical: str) -> None:
    """And something is always left before the @."""
    assert canonical_address(written) == canonical
