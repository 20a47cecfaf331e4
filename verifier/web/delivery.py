"""Where the mail is, live: as JSON for the script, as a small page that renews itself for everybody else.

Both are read while the person looks at the page of the code, so both stay quiet when Redis is away: the
script asks again later, the small page says so in a sentence.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from verifier.container import current_service
from verifier.domain.errors import VerificationNotFound, VerifierError
from verifier.domain.verifications import Status, Verification, ended_sentence
from verifier.web.wording import DeliveryWords, describe_delivery

blueprint = Blueprint("web_delivery", __name__)

RENEW_AFTER_S = 5
_AWAY = DeliveryWords(
    "We can't look where your mail is at the moment. This page keeps trying.", "waiting", settled=False
)


@blueprint.get("/verify/<verification_id>/delivery.json")
def as_json(verification_id: str) -> tuple[Response, int]:
    """Answer the script; `pending` false means that the whole page is out of date."""
    try:
        verification, words = _look(verification_id)
    except VerificationNotFound as error:
        return jsonify(pending=False, sentence=str(error)), error.status
    except VerifierError as error:
        response = jsonify(pending=True, sentence=_AWAY.sentence, tone=_AWAY.tone, settled=False)
        response.headers["Retry-After"] = str(error.retry_after_s or RENEW_AFTER_S)
        return response, error.status
    pending = current_service().status(verification) is Status.PENDING
    return jsonify(pending=pending, sentence=words.sentence, tone=words.tone, settled=words.settled), 200


@blueprint.get("/verify/<verification_id>/delivery")
def as_page(verification_id: str) -> tuple[str, int, dict[str, str]]:
    """Show it in a frame on the page of the code, which is why the code being typed is not lost."""
    try:
        _, words = _look(verification_id)
    except VerificationNotFound as error:
        words, status = DeliveryWords(str(error), "bad", settled=True), error.status
    except VerifierError as error:
        words, status = _AWAY, error.status
    else:
        status = 200
    headers = {} if words.settled else {"Refresh": str(RENEW_AFTER_S)}
    return render_template("delivery.html", mail=words), status, headers


def _look(verification_id: str) -> tuple[Verification, DeliveryWords]:
    service = current_service()
    verification = service.get(verification_id)
    status = service.status(verification)
    if status is Status.PENDING:
        return verification, describe_delivery(verification.delivery, service.clock())
    tone = "good" if status is Status.APPROVED else "bad"
    return verification, DeliveryWords(ended_sentence(status), tone, settled=True)
