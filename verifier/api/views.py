"""POST and GET verifications, check a code, resend, cancel.

Bodies come and go as JSON; times are ISO 8601 in UTC. A wrong code is no error: `valid` is false. Each caller sees only
what they started (api/authorization.py).
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, json, jsonify, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from verifier.api import problems
from verifier.api.authorization import authorize, caller, challenge
from verifier.api.bodies import text_in_body
from verifier.container import current_service
from verifier.domain.errors import InvalidRequest, NotAuthorized, VerifierError
from verifier.domain.times import iso_time
from verifier.domain.verifications import Verification

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_KEY = 255


class _Created(Response):
    """The answer to a start, which has all its headers as they are to be: werkzeug would look for what to mend in them."""

    def __init__(self, body: str) -> None:
        data = body.encode()
        super().__init__(data, HTTPStatus.CREATED, content_type="application/json")
        self.headers["Content-Length"] = str(len(data))

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002 - werkzeug's signature
        """Return the headers."""
        return self.headers


blueprint = Blueprint("api", __name__, url_prefix="/v1")
blueprint.before_request(authorize)


@blueprint.post("/verifications")
def start() -> Response:
    """Start a verification: 201 once it is sure that the mail goes out."""
    verification = current_service().start(text_in_body("to"), request_key=_request_key(), caller=caller())
    response = _Created(json.dumps(_representation(verification)) + "\n")
    # As url_for("api.read") makes it, which takes longer than everything else here.
    response.headers["Location"] = (
        f"{request.script_root}{blueprint.url_prefix}/verifications/{verification.id}"
    )
    return response


@blueprint.get("/verifications/<verification_id>")
def read(verification_id: str) -> Response:
    """Return where a verification and its mail stand."""
    return jsonify(_representation(current_service().get(verification_id, caller=caller())))


@blueprint.post("/verifications/<verification_id>/check")
def check(verification_id: str) -> Response:
    """Judge a typed code; `valid` says whether it was the right one just now."""
    result = current_service().check(
        verification_id, text_in_body("code"), request_key=_request_key(), caller=caller()
    )
    return jsonify({**_representation(result.verification), "valid": result.valid})


@blueprint.post("/verifications/<verification_id>/resend")
def resend(verification_id: str) -> Response:
    """Send the mail again."""
    verification = current_service().resend(verification_id, request_key=_request_key(), caller=caller())
    return jsonify(_representation(verification))


@blueprint.post("/verifications/<verification_id>/cancel")
def cancel(verification_id: str) -> Response:
    """Cancel a pending verification."""
    return jsonify(_representation(current_service().cancel(verification_id, caller=caller())))


@blueprint.errorhandler(VerifierError)
def verifier_error(error: VerifierError) -> Response:
    """Answer with the error's own status, code and sentence; a 503 also with the key for trying again."""
    response = problems.of_verifier_error(error)
    if isinstance(error, NotAuthorized):
        response.headers["WWW-Authenticate"] = challenge()
    if error.status == 503 and "made_up_key" in g:
        response.headers["Idempotency-Key"] = g.made_up_key
    return response


@blueprint.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Answer errors of HTTP as problems; for addresses under /v1 that lead nowhere, web/errors.py does it."""
    return problems.of_http_error(error)


def _representation(verification: Verification) -> dict[str, Any]:
    service = current_service()
    delivery = verification.delivery
    return {
        "id": verification.id,
        "to": verification.address,
        "status": service.status(verification).value,
        "created_at": iso_time(verification.created_at),
        "expires_at": iso_time(verification.expires_at),
        "check_attempts_remaining": verification.check_attempts_remaining(service.rules),
        "resend_available_at": iso_time(verification.resend_available_at(service.rules)),
        "delivery": {
            "number": delivery.number,
            "status": delivery.status.value,
            "next_try_at": iso_time(delivery.next_try_at),
        },
    }


def _request_key() -> str:
    """Return the request's Idempotency-Key (draft-ietf-httpapi-idempotency-key-header); without one, one made up.

    A start that is answered with 503 may have been accepted, so the answer names the key with which a repeat leads to
    the same verification.

    Raises:
        InvalidRequest: the header is no key.
    """
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        g.made_up_key = secrets.token_hex(16)
        return str(g.made_up_key)
    bare = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
    if not (bare.isascii() and bare.isprintable() and 0 < len(bare) <= LONGEST_KEY):
        raise InvalidRequest(f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters.")
    return bare
