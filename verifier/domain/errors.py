"""What can be wrong with a request, each error with a stable code and a sentence for people.

The web pages show the sentence; the JSON API sends it as an RFC 9457 problem detail. The class decides
the HTTP status, so that no view maps errors by hand.
"""

from __future__ import annotations

import math

from verifier.domain.times import span_in_words
from verifier.domain.words import Words, counted, words


class VerifierError(Exception):
    """A request that can't be served; `sentence` is for people, in any language, and `str(error)` the same in English."""

    status = 500
    code = "internal_error"
    title = words("Internal error")
    retry_after_s: int | None = None

    def __init__(self, sentence: Words | str) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence if isinstance(sentence, Words) else Words(sentence)

    @property
    def members(self) -> dict[str, str]:
        """What programs are told beside the code."""
        return {}


class InvalidAddress(VerifierError):
    """The text is no email address that mail could be sent to."""

    status = 422
    code = "invalid_address"
    title = words("Invalid email address")


class MalformedCode(VerifierError):
    """The typed code can't be a code: letters, or the wrong number of digits."""

    status = 422
    code = "malformed_code"
    title = words("Malformed code")


class MalformedRequest(VerifierError):
    """The body can't be read."""

    status = 400
    code = "malformed_request"
    title = words("Malformed request")


class InvalidRequest(VerifierError):
    """The body is readable but does not hold what is needed, or holds something else."""

    status = 422
    code = "invalid_request"
    title = words("Invalid request")


class VerificationNotFound(VerifierError):
    """No verification has this id, or it ended long ago."""

    status = 404
    code = "verification_not_found"
    title = words("Verification not found")

    def __init__(self) -> None:
        super().__init__(
            words("There is no verification with this id, or it ended some time ago. Start a new one.")
        )


class StartedElsewhere(VerifierError):
    """The verification was started in another browser, and only that one may do this."""

    status = 403
    code = "started_elsewhere"
    title = words("Started elsewhere")

    def __init__(self) -> None:
        super().__init__(
            words(
                "Only the browser in which the address was entered can do this. Here you can enter the code."
            )
        )


class NotAuthorized(VerifierError):
    """The API was asked without a key that opens it."""

    status = 401
    code = "unauthorized"
    title = words("No valid API key")


class UnknownHost(VerifierError):
    """The request names a host that is not this service."""

    status = 400
    code = "unknown_host"
    title = words("Unknown host")

    def __init__(self) -> None:
        super().__init__(
            words(
                "This service does not answer under this host name. Whoever runs it names its hosts in VERIFIER_HOSTS."
            )
        )


class VerificationEnded(VerifierError):
    """The verification is no longer pending, so nothing more can be done with it."""

    status = 409
    code = "verification_ended"
    title = words("Verification ended")


class ResendTooSoon(VerifierError):
    """The person asks for the mail again before it is allowed."""

    status = 429
    code = "resend_too_soon"
    title = words("Too soon to send again")

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            counted(
                "The code can be sent again in %(count)s second. Look in your spam folder meanwhile.",
                "The code can be sent again in %(count)s seconds. Look in your spam folder meanwhile.",
                wait_s,
            )
        )
        self.retry_after_s = wait_s


class TooManySends(VerifierError):
    """The code has been sent as often as is allowed."""

    status = 429
    code = "too_many_sends"
    title = words("Sent too often")

    def __init__(self, sends: int) -> None:
        super().__init__(
            counted(
                "The code has been sent %(count)s time already and can't be sent again. "
                "Check the address, or ask for a new code.",
                "The code has been sent %(count)s times already and can't be sent again. "
                "Check the address, or ask for a new code.",
                sends,
            )
        )


_MAILS_FOR_ADDRESS = words("Too many emails were asked for with this address.")
_CODES_FOR_ADDRESS = words("Too many wrong codes were entered for this address.")
_LIMIT_SENTENCES = {
    "mails_per_address": _MAILS_FOR_ADDRESS,
    "mails_per_address_and_network": _MAILS_FOR_ADDRESS,
    "mails_per_network": words("Too many emails were asked for from your network."),
    "mails_per_api_key": words("Too many emails were asked for with this API key."),
    "mails_per_domain": words("Too many emails were asked for to addresses like this one."),
    "mails": words("This service is asked for more emails than it sends."),
    "logins_per_network": words("Too many passwords were typed from your network."),
    "wrong_codes_per_address": _CODES_FOR_ADDRESS,
    "wrong_codes_per_address_and_network": _CODES_FOR_ADDRESS,
    "wrong_codes_per_network": words("Too many wrong codes were entered from your network."),
}


class LimitReached(VerifierError):
    """It was done too often, by whomever; nothing was done or counted now. `limit` names the field of `Limits`."""

    status = 429
    code = "limit_reached"
    title = words("Too often")

    def __init__(self, limit: str, wait_s: float) -> None:
        self.limit = limit
        self.retry_after_s = max(1, math.ceil(wait_s))
        super().__init__(
            words(
                "%(reason)s Try again in %(span)s.",
                reason=_LIMIT_SENTENCES[limit],
                span=span_in_words(self.retry_after_s),
            )
        )

    @property
    def members(self) -> dict[str, str]:
        """Return the limit's name."""
        return {"limit": self.limit}


class InvalidIdempotencyKey(VerifierError):
    """The Idempotency-Key header holds no key."""

    status = 400
    code = "invalid_idempotency_key"
    title = words("Invalid idempotency key")

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"Idempotency-Key must hold one key of 1 to {longest} printable ASCII characters, best in quotes: "
            'Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".'
        )


class RequestReused(VerifierError):
    """The idempotency key came before, with another body."""

    status = 422
    code = "idempotency_key_reused"
    title = words("Idempotency key reused")

    def __init__(self) -> None:
        super().__init__(
            words("This Idempotency-Key was used with another body before. Use a new key for a new request.")
        )


class ServiceUnavailable(VerifierError):
    """It can't be done now, and trying again soon will help; `retry_after_s` says when, in seconds.

    Whether it was done may be unknown: the sentence says so, and trying again with the same request is safe.
    """

    status = 503
    code = "service_unavailable"
    title = words("Temporarily unavailable")

    def __init__(self, sentence: Words | str, retry_after_s: int = 5) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class QueueFull(ServiceUnavailable):
    """More mail is owed than the service takes on; nothing was accepted."""

    code = "queue_full"
    title = words("Too many mails waiting")

    def __init__(self, retry_after_s: int = 10) -> None:
        super().__init__(
            words("Too many emails are waiting to be sent, so this one was not accepted. Try again shortly."),
            retry_after_s,
        )
