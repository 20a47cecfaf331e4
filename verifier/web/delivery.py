"""Where the mail is, live: as JSON for the script, as a small page that renews itself for everybody else.

Both are read while the person looks at the page of the code, so both stay quiet when Redis is away: the
script asks again later, the small page says so in a sentence. Only the browser that started a verification is told.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template, url_for

from verifier.container import current_service
from verifier.domain.callers import require_started
from verifier.domain.errors import StartedElsewhere, VerificationNotFound, VerifierError
from verifier.domain.verifications import FAILED, Status, ended_sentence
from verifier.domain.words import words
from verifier.languages import said
from verifier.web.browsers import this_browser
from verifier.web.wording import DeliveryWords, describe_delivery

blueprint = Blueprint("web_delivery", __name__)

RENEW_AFTER_S = 5
_AWAY = DeliveryWords(
    words("We can't look where your email is at the moment. This page keeps trying."),
    "waiting",
    settled=False,
)


@blueprint.get("/verify/<verification_id>/delivery.json")
def as_json(verification_id: str) -> tuple[Response, int, dict[str, str]]:
    """Answer the script; `pending` false means that there is nothing to wait for, and another page is to be shown."""
    mail, pending, status, headers = _look(verification_id)
    told = {"sentence": said(mail.sentence), "tone": mail.tone, "settled": mail.settled}
    return jsonify(pending=pending, **told), status, headers


@blueprint.get("/verify/<verification_id>/delivery")
def as_page(verification_id: str) -> tuple[str, int, dict[str, str]]:
    """Show it in a frame on the page of the code, which is why the code being typed is not lost."""
    mail, pending, status, headers = _look(verification_id)
    renewal = {} if mail.settled else {"Refresh": str(RENEW_AFTER_S)}
    leads_on = "" if pending else url_for("web.show", verification_id=verification_id)
    return render_template("delivery.html", mail=mail, leads_on=leads_on), status, headers | renewal


def _look(verification_id: str) -> tuple[DeliveryWords, bool, int, dict[str, str]]:
    """Return where the mail is, whether its code is waited for, and the answer's status and headers."""
    service = current_service()
    try:
        verification = service.get(verification_id, caller=this_browser())
        require_started(this_browser(), verification)
    except (VerificationNotFound, StartedElsewhere) as error:
        return DeliveryWords(error.sentence, "bad", settled=True), False, error.status, {}
    except VerifierError as error:
        return _AWAY, True, error.status, {"Retry-After": str(error.retry_after_s or RENEW_AFTER_S)}
    status = service.status(verification)
    if status is Status.PENDING:
        is_waited_for = verification.delivery.status not in FAILED
        return describe_delivery(verification.delivery, service.clock()), is_waited_for, 200, {}
    tone = "good" if status is Status.APPROVED else "bad"
    return DeliveryWords(ended_sentence(status), tone, settled=True), False, 200, {}
