"""What a verification looks like in an answer; times are ISO 8601 in UTC."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response
from werkzeug.datastructures import Headers

from verifier.api import contract
from verifier.api.idempotency import REPLAYED
from verifier.container import current_service
from verifier.domain.times import iso_time
from verifier.domain.verifications import Verification

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ENCODER = msgspec.json.Encoder()


class Answer(Response):
    """An answer that has all its headers as they are to be: werkzeug would look for what to mend in them."""

    def __init__(self, told: contract.Verification, status: HTTPStatus, *, repeated: bool) -> None:
        data = _ENCODER.encode(told) + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        if repeated:
            headers.append((REPLAYED, "true"))
        super().__init__(data, status, headers)

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002 - werkzeug's signature
        """Return the headers."""
        return self.headers


def of_verification(verification: Verification, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Make the answer that tells where it stands, and whether the request came before."""
    told = contract.Verification(**_members(verification))
    return Answer(told, status, repeated=verification.repeated)


def of_check(verification: Verification, *, valid: bool, repeated: bool) -> Answer:
    """Make the answer to a check, which found the code valid or not."""
    told = contract.Checked(**_members(verification), valid=valid)
    return Answer(told, HTTPStatus.OK, repeated=repeated)


def _members(verification: Verification) -> dict[str, Any]:
    service, delivery = current_service(), verification.delivery
    return {
        "id": verification.id,
        "to": verification.address,
        "status": service.status(verification),
        "created_at": iso_time(verification.created_at),
        "expires_at": iso_time(verification.expires_at),
        "check_attempts_remaining": verification.check_attempts_remaining(service.rules),
        "resend_available_at": iso_time(verification.resend_available_at(service.rules)),
        "delivery": contract.Delivery(delivery.number, delivery.status, iso_time(delivery.next_try_at)),
    }
