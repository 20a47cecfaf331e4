"""Email addresses: parsed and normalised by the email-validator library.

What is accepted is what can be mailed: no display names, no address literals, internationalised local
parts and domains included. Domains under `.test`, which RFC 2606 keeps for testing, are accepted, so that
an integration can be tried with addresses that never belong to anybody. DNS is not asked: a form must
not hang on a name server, and the relay's answer decides anyway.
"""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from verifier.domain.errors import InvalidAddress

MAX_ADDRESS_CHARACTERS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets, angle brackets included
_ALLOW_TEST_DOMAINS = True


def normalise_address(text: str) -> str:
    """Return the normal form of a typed address: Unicode NFC, domain in lower case.

    Blanks around it are dropped, since forms and phones add them; anything else that is not part of an
    address is refused.

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
    try:
        parsed = validate_email(
            text, check_deliverability=False, test_environment=_ALLOW_TEST_DOMAINS, strict=True
        )
    except EmailNotValidError as error:
        raise InvalidAddress(f"This is not an email address that mail can be sent to: {error}") from None
    return parsed.normalized
