"""Email addresses: parsed and normalised by the email-validator library.

What is accepted is what can be mailed: no display names, no address literals, internationalised local
parts and domains included; and only what all mail software reads in the same way, since a mail that goes
somewhere else than it seems to proves the wrong address. Domains under `.test` and `.example`, which RFC 2606
keeps for tests, are accepted in development, so that an integration can be tried with addresses that never
belong to anybody. DNS is not asked: a form must not hang on a name server, and the relay's answer decides anyway.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, ValidatedEmail, validate_email

from verifier.domain.errors import InvalidAddress
from verifier.domain.words import Words, words

MAX_ADDRESS_CHARACTERS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets, angle brackets included
_FOR_TESTS = ("test", "example")
# Names that are never in the DNS (RFC 9476), and that the library does not know. It refuses the other special ones.
_NOT_IN_DNS = ("alt",)
# RFC 2047: mail programs decode it in a header, and then show or answer another address.
_ENCODED_WORD = re.compile(r"=\?.*\?=")
# user%host@relay and host!user@relay are routes through the relay to another address (RFC 5321, appendix F.2).
_ROUTE = re.compile(r"[%!]")
# Words that nothing reads in another way, of at most 64 characters (RFC 5321, 4.5.3.1.1).
_PLAIN = re.compile(
    r"(?=[^@]{1,64}@)(?P<local>[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*)@(?P<domain>[A-Za-z0-9.-]+)"
)
# A program, a file, or an option to a program, for mail software of old; current software refuses the dash.
_NO_MAILBOX = re.compile(r"[-|/]")
_UNSAFE = words("Not all email programs can write to an address like this one. Enter another email address.")
_SLIPS = (
    (
        re.compile(r"[,;]|@.+\s\S+@"),
        words("Enter one email address only, like name@example.com."),
    ),
    (
        re.compile(r"\A[^@]*\Z"),
        words("Enter an email address with an @ in it, like name@example.com."),
    ),
    (
        re.compile(r"[<>]"),
        words("Enter only the email address, like name@example.com, without a name before it."),
    ),
    (
        re.compile(r"\s"),
        words("Enter the email address without spaces, like name@example.com."),
    ),
    (
        re.compile(r"\A@|@[^.\[]*\Z"),
        words("This email address is not complete. Enter it like name@example.com."),
    ),
)
# Control characters, what is left of broken text, what can't be seen, and lines and paragraphs of their own (Unicode, 4.5).
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Cs", "So", "Zl", "Zp"})


def normalise_address(text: str, *, for_tests: bool = False) -> str:
    """Return the normal form of a typed address: Unicode NFC, domain in lower case.

    Blanks around it are dropped, since forms and phones add them; anything else that is not part of an
    address is refused. Domains that are kept for tests pass with `for_tests`.

    Raises:
        InvalidAddress: no mail can be sent to it; the sentence says why.
    """
    too_long = len(text) > MAX_ADDRESS_CHARACTERS
    text = text.strip(" ")
    if not text:
        raise InvalidAddress(words("Enter your email address."))
    if too_long:
        raise InvalidAddress(
            words("An email address has at most %(most)s characters.", most=MAX_ADDRESS_CHARACTERS)
        )
    if _ENCODED_WORD.search(text):
        raise InvalidAddress(_UNSAFE)
    if plain := _PLAIN.fullmatch(text):
        # Of most addresses only the domain has to be looked into, and most domains have been.
        return f"{plain['local']}@{_normal_domain(plain['domain'], for_tests)}"
    return _validated(text, for_tests).normalized


@functools.lru_cache(maxsize=1024)
def _normal_domain(domain: str, for_tests: bool) -> str:
    """Return the normal form of an ASCII domain. Raises InvalidAddress."""
    return str(_validated(f"a@{domain}", for_tests).domain)


def _validated(text: str, for_tests: bool) -> ValidatedEmail:
    """Return what the library makes of an address. Raises InvalidAddress."""
    try:
        parsed = validate_email(text, check_deliverability=False, test_environment=for_tests, strict=True)
    except EmailNotValidError:
        raise InvalidAddress(_what_is_wrong(text)) from None
    if _ROUTE.search(parsed.local_part) or _NO_MAILBOX.match(parsed.local_part):
        raise InvalidAddress(_UNSAFE)
    top = parsed.ascii_domain.rpartition(".")[2]
    if top in _NOT_IN_DNS or (top in _FOR_TESTS and not for_tests):
        raise InvalidAddress(_of_nobody(parsed.domain))
    return parsed


def _what_is_wrong(text: str) -> Words:
    """Return our own sentence about what is no address: the most likely slip, in words that everybody knows."""
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        return words("The address has characters in it that could not be read. Enter it again.")
    domain = f".{text.rpartition('@')[2].casefold()}"
    if "@" in text and any(domain.endswith(f".{name}") for name in SPECIAL_USE_DOMAIN_NAMES):
        return _of_nobody(domain[1:])
    slips = (sentence for pattern, sentence in _SLIPS if pattern.search(text))
    return next(slips, words("Enter an email address like name@example.com."))


def _of_nobody(domain: str) -> Words:
    return words("No email gets to addresses at %(domain)s. Enter another email address.", domain=domain)


# The providers whose mailboxes are the same with and without dots (https://support.google.com/mail/answer/7436150).
_DOTS_ARE_NOTHING = frozenset({"gmail.com", "googlemail.com"})


def canonical_address(address: str) -> str:
    """Return what is the same for all ways of writing one mailbox, for counting; mail is never sent to it.

    Args:
        address: the normal form. Letter case is left out, what follows a `+`, and the dots of Gmail.
    """
    local, _, domain = address.rpartition("@")
    local = unicodedata.normalize("NFKC", local).casefold()
    local = local.partition("+")[0] or local
    domain = domain.casefold()
    if domain in _DOTS_ARE_NOTHING:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def domain_of(address: str) -> str:
    """Return the domain of an address."""
    return address.rpartition("@")[2].casefold()
