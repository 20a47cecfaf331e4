"""POST and GET verifications, check a code, resend, cancel.

Bodies come and go as JSON; times are ISO 8601 in UTC. A wrong code is no error: `valid` is false.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from verifier.api import problems
from verifier.container import current_service
from verifier.domain.errors import InvalidRequest, VerifierError
from verifier.domain.times import iso_time
from verifier.domain.verifications import Verification

blueprint = Blueprint("api", __name__, url_prefix="/v1")


@blueprint.post("/verifications")
def start() -> tuple[Response, int, dict[str, str]]:
    """Start a verification: 201 once it is sure that the mail goes out."""
    verification = current_service().start(_text_in_body("to"))
    location = url_for("api.read", verification_id=verification.id)
    return jsonify(_representation(verification)), 201, {"Location": location}


@blueprint.get("/verifications/<verification_id>")
def read(verification_id: str) -> Response:
    """Return where a verification and its mail stand."""
    return jsonify(_representation(current_service().get(verification_id)))


@blueprint.post("/verifications/<verification_id>/check")
def check(verification_id: str) -> Response:
    """Judge a typed code; `valid` says whether it was the right one just now."""
    result = current_service().check(verification_id, _text_in_body("code"))
    return jsonify({**_representation(result.verification), "valid": result.valid})


@blueprint.post("/verifications/<verification_id>/resend")
def resend(verification_id: str) -> Response:
    """Send the mail again."""
    return jsonify(_representation(current_service().resend(verification_id)))


@blueprint.post("/verifications/<verification_id>/cancel")
def cancel(verification_id: str) -> Response:
    """Cancel a pending verification."""
    return jsonify(_representation(current_service().cancel(verification_id)))


@blueprint.after_request
def keep_out_of_caches(response: Response) -> Response:
    """Forbid caches: nobody on the way may keep an address and its state."""
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.errorhandler(VerifierError)
def verifier_error(error: VerifierError) -> Response:
    """Answer with the error's own status, code and sentence."""
    return problems.of_verifier_error(error)


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


def _text_in_body(name: str) -> str:
    """Return one text of the JSON object in the body.

    Raises:
        UnsupportedMediaType, BadRequest, InvalidRequest: there is none; RequestEntityTooLarge.
    """
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        body = request.get_json()
    except (UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not readable as JSON.") from None
    if not isinstance(body, dict) or name not in body:
        raise InvalidRequest(f'Send a JSON object with the member "{name}".')
    if not isinstance(body[name], str):
        raise InvalidRequest(f'The member "{name}" must be a string.')
    return str(body[name])
