"""Every problem that the API answers with, an example of each: for the OpenAPI document and the table in docs/api.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from verifier.api import problems
from verifier.api.idempotency import LONGEST_KEY
from verifier.api.operations import EVERYWHERE, Operation
from verifier.domain import errors
from verifier.domain.errors import VerifierError
from verifier.domain.verifications import Status, ended_sentence

OF_A_BODY: tuple[type[VerifierError], ...] = (errors.MalformedRequest, errors.InvalidRequest)
OF_A_KEY: tuple[type[VerifierError], ...] = (errors.InvalidIdempotencyKey, errors.RequestReused)
# What HTTP itself has, by status: for a request with a body, and for any.
HTTP_OF_A_BODY = (413, 415)
HTTP_EVERYWHERE = (500,)

_EXAMPLES: tuple[VerifierError, ...] = (
    errors.MalformedRequest("The body is not valid JSON: it can't be read from line 1, column 1 on."),
    errors.InvalidIdempotencyKey(LONGEST_KEY),
    errors.UnknownHost(),
    errors.NotAuthorized("This API needs a key: send it as `Authorization: Bearer KEY`."),
    errors.VerificationNotFound(),
    errors.VerificationEnded(ended_sentence(Status.EXPIRED)),
    errors.InvalidRequest('Send a JSON object with the member "to".'),
    errors.InvalidAddress("Enter an email address with an @ in it, like name@example.com."),
    errors.MalformedCode("Enter the code from the email. It has 6 digits."),
    errors.RequestReused(),
    errors.LimitReached("mails_per_address_and_network", 120),
    errors.ResendTooSoon(20),
    errors.TooManySends(5),
    errors.ServiceUnavailable(
        "The service can't reach its database at the moment, so we don't know yet whether this was done. "
        "Trying again in a few seconds is safe."
    ),
    errors.QueueFull(),
)

# Each request has one (web/request_ids.py), but for those that the proxy answers.
AN_ID = {"request_id": "6f9619ff8b86d011b42d00cf4fc964ff"}


@dataclass(frozen=True)
class Example:
    """A problem as it is answered."""

    status: int
    code: str
    body: dict[str, Any]
    retry_after_s: int | None = None


def examples_of(operation: Operation) -> list[Example]:
    """Return an example of each problem that an operation answers with, by status, then by code."""
    kinds = {*EVERYWHERE, *operation.refusals}
    statuses = set(HTTP_EVERYWHERE)
    if operation.body is not None:
        kinds |= set(OF_A_BODY)
        statuses |= set(HTTP_OF_A_BODY)
    if operation.may_be_repeated:
        kinds |= set(OF_A_KEY)
    found = [_of_error(each) for each in _EXAMPLES if type(each) in kinds]
    found += [_of_status(status) for status in statuses]
    found += _of_the_proxy()
    return sorted(found, key=lambda each: (each.status, each.code))


def all_examples(operations: Iterable[Operation]) -> list[Example]:
    """Return an example of each problem that any operation answers with, and of those beside all operations."""
    found = {each.code: each for operation in operations for each in examples_of(operation)}
    found |= {each.code: each for each in (_of_status(404), _of_status(405))}
    return sorted(found.values(), key=lambda each: (each.status, each.code))


def _of_error(error: VerifierError) -> Example:
    body = problems.body_of(error.status, error.code, str(error.title), str(error), error.members) | AN_ID
    return Example(error.status, error.code, body, error.retry_after_s)


def _of_status(status: int) -> Example:
    code, title = problems.CODES[status], HTTPStatus(status).phrase
    body = problems.body_of(status, code, title, str(problems.DETAILS[status])) | AN_ID
    return Example(status, code, body)


def _of_the_proxy() -> list[Example]:
    """Return what the proxy in front answers by itself (deploy/proxy/nginx.conf and start-proxy.sh)."""
    sentence = "Too many requests come from your address at the same time: try again in a few seconds."
    too_many = problems.body_of(429, "too_many_requests", "Too many requests", sentence)
    sentence = (
        "This API is served by https only. What was sent went over the network in the clear: replace the API key, "
        "if there was one."
    )
    in_clear = problems.body_of(403, "https_required", "Forbidden", sentence)
    return [Example(429, "too_many_requests", too_many, 5), Example(403, "https_required", in_clear)]
