"""What can be wrong with a request, each error with a stable code and a sentence for people.

The web pages show the sentence; the JSON API sends it as an RFC 9457 problem detail. The class decides
the HTTP status, so that no view maps errors by hand.
"""

from __future__ import annotations

import math

from verifier.domain.times import span_in_words


class VerifierError(Exception):
    """A request that can't be served; `str(error)` is a sentence for people."""

    status = 500
    code = "internal_error"
    title = "Internal error"
    retry_after_s: int | None = None

    @property
    def members(self) -> dict[str, str]:
        """What programs are told beside the code."""
        return {}


class InvalidAddress(VerifierError):
    """The text is no email address that mail could be sent to."""

    status = 422
    code = "invalid_address"
    title = "Invalid email address"


class MalformedCode(VerifierError):
    """The typed code can't be a code: letters, or the wrong number of digits."""

    status = 422
    code = "malformed_code"
    title = "Malformed code"


class InvalidRequest(VerifierError):
    """The body is readable but does not hold what is needed."""

    status = 422
    code = "invalid_request"
    title = "Invalid request"


class VerificationNotFound(VerifierError):
    """No verification has this id, or it ended long ago."""

    status = 404
    code = "verification_not_found"
    title = "Verification not found"

    def __init__(self) -> None:
        super().__init__("There is no verification with this id, or it ended some time ago. Start a new one.")


class StartedElsewhere(VerifierError):
    """The verification was started in another browser, and only that one may do this."""

    status = 403
    code = "started_elsewhere"
    title = "Started elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "Only the browser in which the address was typed can do this. Here you can type the code."
        )


class NotAuthorized(VerifierError):
    """The API was asked without a key that opens it."""

    status = 401
    code = "unauthorized"
    title = "No valid API key"


class UnknownHost(VerifierError):
    """The request names a host that is not this service."""

    status = 400
    code = "unknown_host"
    title = "Unknown host"

    def __init__(self) -> None:
        super().__init__(
            "This service does not answer under this host name. Whoever runs it names its hosts in VERIFIER_HOSTS."
        )


class VerificationEnded(VerifierError):
    """The verification is no longer pending, so nothing more can be done with it."""

    status = 409
    code = "verification_ended"
    title = "Verification ended"


class ResendTooSoon(VerifierError):
    """The person asks for the mail again before it is allowed."""

    status = 429
    code = "resend_too_soon"
    title = "Too soon to send again"

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            f"The code can be sent again in {wait_s} second{'' if wait_s == 1 else 's'}. "
            "Please look into your spam folder meanwhile."
        )
        self.retry_after_s = wait_s


class TooManySends(VerifierError):
    """The code has been sent as often as is allowed."""

    status = 429
    code = "too_many_sends"
    title = "Sent too often"

    def __init__(self, sends: int) -> None:
        super().__init__(
            f"The code has been sent {sends} times already and can't be sent again. "
            "Check the address, or start a new verification."
        )


_MAILS_ASKED_FOR = "Too many mails were asked for"
_LIMIT_SENTENCES = {
    "mails_per_address": f"{_MAILS_ASKED_FOR} with this address.",
    "mails_per_address_and_network": f"{_MAILS_ASKED_FOR} with this address.",
    "mails_per_network": f"{_MAILS_ASKED_FOR} from your network.",
    "mails_per_api_key": f"{_MAILS_ASKED_FOR} with this API key.",
    "mails_per_domain": f"{_MAILS_ASKED_FOR} for addresses of this domain.",
    "mails": "This service is asked for more mails than it sends.",
    "wrong_codes_per_address": "Too many wrong codes were typed for this address.",
    "wrong_codes_per_address_and_network": "Too many wrong codes were typed for this address.",
    "wrong_codes_per_network": "Too many wrong codes were typed from your network.",
}


class LimitReached(VerifierError):
    """It was done too often, by whomever; nothing was done or counted now. `limit` names the field of `Limits`."""

    status = 429
    code = "limit_reached"
    title = "Too often"

    def __init__(self, limit: str, wait_s: float) -> None:
        self.limit = limit
        self.retry_after_s = max(1, math.ceil(wait_s))
        super().__init__(
            f"{_LIMIT_SENTENCES[limit]} Please try again in {span_in_words(self.retry_after_s)}."
        )

    @property
    def members(self) -> dict[str, str]:
        """Return the limit's name."""
        return {"limit": self.limit}


class RequestReused(VerifierError):
    """The idempotency key came before, with another body."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body before. Use a new key for a new request."
        )


class ServiceUnavailable(VerifierError):
    """It can't be done now, and trying again soon will help; `retry_after_s` says when, in seconds.

    Whether it was done may be unknown: the sentence says so, and trying again with the same request is safe.
    """

    status = 503
    code = "service_unavailable"
    title = "Temporarily unavailable"

    def __init__(self, sentence: str, retry_after_s: int = 5) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class QueueFull(ServiceUnavailable):
    """More mail is owed than the service takes on; nothing was accepted."""

    code = "queue_full"
    title = "Too many mails waiting"

    def __init__(self, retry_after_s: int = 10) -> None:
        super().__init__(
            "Too many mails are waiting to be sent, so this one was not accepted. Please try again shortly.",
            retry_after_s,
        )
