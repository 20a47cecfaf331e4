"""POST and GET verifications, check a code, resend, cancel.

Bodies come and go as JSON (contract.py). A wrong code is no error: `valid` is false. Each caller sees only what they
started (authorization.py).
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from verifier.api import contract, problems
from verifier.api.answers import of_check, of_verification
from verifier.api.authorization import authorize, caller, challenge
from verifier.api.bodies import read_body, said_beside
from verifier.api.contract import CancelBody, CheckBody, ResendBody, StartBody
from verifier.api.idempotency import name_made_up_key, read_key
from verifier.api.locales import read_locale
from verifier.api.operations import Operation, described
from verifier.container import current_service
from verifier.domain import errors
from verifier.domain.errors import NotAuthorized, VerifierError

blueprint = Blueprint("api", __name__, url_prefix="/v1")
blueprint.before_request(authorize)


@blueprint.post("/verifications")
@described(
    Operation(
        contract.Verification,
        (errors.InvalidAddress, errors.LimitReached, errors.QueueFull),
        StartBody,
        201,
        may_be_repeated=True,
        note="Once this is answered with 201 the mail goes out, whatever dies next. Where the same caller has a "
        "verification pending for the address, that is the answer, and it counts as a resend.",
    )
)
def start() -> Response:
    """Start a verification."""
    body, key = read_body(StartBody), read_key()
    verification = current_service().start(
        body.to,
        request_key=key.text,
        request_body=said_beside(body, "to") if key.is_callers else None,
        caller=caller(body.client_ip),
        language=read_locale(body.locale),
    )
    answer = of_verification(verification, HTTPStatus.CREATED)
    # As url_for("api.read") makes it, which takes longer than everything else here.
    answer.headers["Location"] = (
        f"{request.script_root}{blueprint.url_prefix}/verifications/{verification.id}"
    )
    return answer


@blueprint.get("/verifications/<verification_id>")
@described(
    Operation(
        contract.Verification,
        (errors.VerificationNotFound,),
        note="It can be read until it ended some time ago (VERIFIER_RETENTION, ten minutes unless set).",
    )
)
def read(verification_id: str) -> Response:
    """Read where a verification and its mail stand."""
    return of_verification(current_service().get(verification_id, caller=caller()))


@blueprint.post("/verifications/<verification_id>/check")
@described(
    Operation(
        contract.Checked,
        (errors.VerificationNotFound, errors.MalformedCode, errors.LimitReached),
        CheckBody,
        may_be_repeated=True,
        note="A code approves once: `valid` is true for the check that approved the verification, and for its repeats. "
        "What can't be a code costs no attempt.",
    )
)
def check(verification_id: str) -> Response:
    """Check the code that the person typed."""
    body, key = read_body(CheckBody), read_key()
    result = current_service().check(
        verification_id,
        body.code,
        request_key=key.text,
        request_body=said_beside(body, "code"),
        caller=caller(body.client_ip),
    )
    return of_check(result.verification, valid=result.valid, repeated=result.repeated)


@blueprint.post("/verifications/<verification_id>/resend")
@described(
    Operation(
        contract.Verification,
        (
            errors.VerificationNotFound,
            errors.VerificationEnded,
            errors.ResendTooSoon,
            errors.TooManySends,
            errors.LimitReached,
            errors.QueueFull,
        ),
        ResendBody,
        may_be_repeated=True,
        note="It carries the same code.",
    )
)
def resend(verification_id: str) -> Response:
    """Send the mail again."""
    body, key = read_body(ResendBody), read_key()
    verification = current_service().resend(
        verification_id,
        request_key=key.text,
        request_body=said_beside(body) if key.is_callers else None,
        caller=caller(body.client_ip),
    )
    return of_verification(verification)


@blueprint.post("/verifications/<verification_id>/cancel")
@described(
    Operation(
        contract.Verification,
        (errors.VerificationNotFound, errors.VerificationEnded),
        CancelBody,
        note="Its code stops working, and a mail that still waits does not go out. Canceling a canceled one changes "
        "nothing, so a repeat needs no key.",
    )
)
def cancel(verification_id: str) -> Response:
    """Cancel a pending verification."""
    read_body(CancelBody)
    return of_verification(current_service().cancel(verification_id, caller=caller()))


@blueprint.errorhandler(VerifierError)
def verifier_error(error: VerifierError) -> Response:
    """Answer with the error's own status, code and sentence; a 503 also with the key for trying again."""
    response = problems.of_verifier_error(error)
    if isinstance(error, NotAuthorized):
        response.headers["WWW-Authenticate"] = challenge()
    if error.status == 503:
        name_made_up_key(response)
    return response


@blueprint.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Answer errors of HTTP as problems; for addresses under /v1 that lead nowhere, web/errors.py does it."""
    return problems.of_http_error(error)
