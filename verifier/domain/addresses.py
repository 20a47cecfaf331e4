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

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from verifier.domain.errors import InvalidAddress

MAX_ADDRESS_CHARACTERS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets, angle brackets included
_FOR_TESTS = ("test", "example")
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


def normalise_address(text: str, *, for_tests: bool = False) -> str:
    """Return the normal form of a typed address: Unicode NFC, domain in lower case.

    Blanks around it are dropped, since forms and phones add them; anything else that is not part of an
    address is refused. Domains that are kept for tests pass with `for_tests`.

    Raises:
        InvalidAddress: no mail can be sent to it; the sentence says why.
    """
    text = text.strip(" ")
    if not text:
        raise InvalidAddress("Please type your email address.")
    if any(character in text for character in "\r\n\t\0"):
        raise InvalidAddress("An email address has no line breaks or control characters in it.")
    if "\ufffd" in text:
        raise InvalidAddress(
            "The address arrived with characters that could not be read. Please type it again."
        )
    if len(text) > MAX_ADDRESS_CHARACTERS:
        raise InvalidAddress(f"An email address has at most {MAX_ADDRESS_CHARACTERS} characters.")
    if _ENCODED_WORD.search(text):
        raise InvalidAddress(
            "Mail programs misread an address with =? and ?= in it, so no mail can be sent to it."
        )
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
    except EmailNotValidError as error:
        raise InvalidAddress(f"This is not an email address that mail can be sent to: {error}") from None
    if _ROUTE.search(parsed.local_part) or _NO_MAILBOX.match(parsed.local_part):
        raise InvalidAddress(
            "Mail programs misread an address with % or ! in it, or with -, | or / at its beginning, "
            "so no mail can be sent to it."
        )
    if not for_tests and parsed.ascii_domain.rpartition(".")[2] in _FOR_TESTS:
        raise InvalidAddress("This address is one for tests that nobody has, so no mail can be sent to it.")
    return parsed


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
