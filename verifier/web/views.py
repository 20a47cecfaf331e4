"""The form, the code, the verified page. Every form works without JavaScript.

A verification has one address, `/verify/<id>`, that always tells the truth about it: the form for the code
while it is pending, the verified page once it is approved, else how it ended and a way to start again. A browser that did
not start it sees no address there, and may type the code, nothing else.
"""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, flash, request
from flask_wtf.csrf import CSRFError

from verifier.container import current_service
from verifier.domain.callers import require_started
from verifier.domain.errors import (
    InvalidAddress,
    LimitReached,
    MalformedCode,
    ResendTooSoon,
    StartedElsewhere,
    TooManySends,
    VerificationEnded,
    VerifierError,
)
from verifier.domain.verifications import Status, Verification
from verifier.languages import current_language, said
from verifier.web.browsers import starting_browser, this_browser
from verifier.web.errors import REPLACES, SURE, verifier_error
from verifier.web.form_tokens import form_token
from verifier.web.pages import (
    Answer,
    Problem,
    address_page,
    answer_to_form,
    answer_to_new_code,
    suggestion_page,
    to_page_of,
    verification_page,
)
from verifier.web.security import csrf
from verifier.web.typos import intended_address
from verifier.web.wording import LOST_BUTTON, LOST_FORM, SENT_AGAIN
from verifier.web.wrong_codes import remember_wrong_code, take_wrong_code

blueprint = Blueprint("web", __name__)
blueprint.register_error_handler(VerifierError, verifier_error)


@blueprint.before_request
def refuse_foreign_forms() -> Answer | None:
    """Do nothing for a form without our token; it comes back as it was, and sent again it works.

    Here and not in an error handler, because showing the page again may itself find Redis away.
    """
    try:
        csrf.protect()
    except CSRFError:
        return _form_again()
    return None


@blueprint.get("/")
@blueprint.get("/verify")
def home() -> Answer:
    """Ask for the address."""
    return address_page()


@blueprint.post("/verify")
def start() -> Answer:
    """Start a verification and lead to its page. One whose address is changed by it is canceled then, and not before."""
    typed, replaces = request.form.get("email", ""), request.form.get(REPLACES, "")
    if request.form.get(SURE) != typed and (meant := intended_address(typed)):
        return suggestion_page(typed, meant, replaces)
    try:
        verification = current_service().start(
            typed, form_token=form_token(), caller=starting_browser(), language=current_language()
        )
    except InvalidAddress as error:
        return address_page(typed, Problem(error.sentence), replaces)
    except LimitReached as error:
        return address_page(typed, _not_now(error), replaces)
    _cancel_replaced(replaces, verification)
    return to_page_of(verification.id)


@blueprint.get("/verify/<verification_id>")
def show(verification_id: str) -> Answer:
    """Show where a verification stands."""
    return verification_page(_seen(verification_id), is_after_wrong_code=take_wrong_code(verification_id))


@blueprint.post("/verify/<verification_id>")
def check(verification_id: str) -> Answer:
    """Judge the typed code, and lead to the page that says what came of it."""
    typed = request.form.get("code", "")
    try:
        result = current_service().check(
            verification_id, typed, request_key=_key_of(typed), caller=this_browser()
        )
    except MalformedCode as error:
        return answer_to_form(_seen(verification_id), Problem(error.sentence), typed)
    except LimitReached as error:
        return answer_to_form(_seen(verification_id), _not_now(error), typed)
    if not result.valid:
        remember_wrong_code(verification_id)
    return to_page_of(verification_id)


@blueprint.post("/verify/<verification_id>/resend")
def resend(verification_id: str) -> Answer:
    """Have the mail sent again."""
    try:
        current_service().resend(verification_id, request_key=form_token(), caller=this_browser())
    except (LimitReached, ResendTooSoon, StartedElsewhere, TooManySends, VerificationEnded) as error:
        return answer_to_form(_seen(verification_id), _not_now(error))
    flash(said(SENT_AGAIN))
    return to_page_of(verification_id)


@blueprint.post("/verify/<verification_id>/new")
def new_code(verification_id: str) -> Answer:
    """Start another verification of the same address, where this one came to nothing; in the browser that started it."""
    seen, caller = _seen(verification_id), this_browser()
    if current_service().status(seen) is Status.APPROVED:
        return to_page_of(verification_id)
    try:
        require_started(caller, seen)
        verification = current_service().start(
            seen.address, form_token=form_token(), caller=caller, language=current_language()
        )
    except (InvalidAddress, LimitReached, StartedElsewhere) as error:
        return answer_to_new_code(seen, _not_now(error))
    _cancel_replaced(verification_id, verification)
    return to_page_of(verification.id)


@blueprint.get("/verify/<verification_id>/resend")
@blueprint.get("/verify/<verification_id>/new")
def back_from_form(verification_id: str) -> Answer:
    """Lead back: a phone that reloads the tab after "too soon" asks for this address."""
    return to_page_of(verification_id)


@blueprint.get("/verify/<verification_id>/change")
def change(verification_id: str) -> Answer:
    """Ask for the address again, filled in. Nothing happens to the verification before the form is sent."""
    seen = _seen(verification_id)
    if not this_browser().started(seen) or current_service().status(seen) is Status.APPROVED:
        return to_page_of(verification_id)
    return address_page(seen.address, replaces=verification_id)


def _cancel_replaced(replaced_id: str, verification: Verification) -> None:
    """Cancel what was replaced, so that a mail that still waits does not go to a mistyped, foreign address.

    Whoever did not start it can't; and the new one stands, whatever becomes of this.
    """
    if replaced_id not in {"", verification.id}:
        with suppress(VerifierError):
            current_service().cancel(replaced_id, caller=this_browser())


def _not_now(error: VerifierError) -> Problem:
    return Problem(error.sentence, error.status, field=False, retry_after_s=error.retry_after_s)


def _seen(verification_id: str) -> Verification:
    return current_service().get(verification_id, caller=this_browser())


def _key_of(typed: str) -> str:
    """Return what makes a repeated check the same one: another code in a form that was sent before is another check."""
    token = form_token()
    return f"{token}\0{typed}" if token else ""


def _form_again() -> Answer:
    if request.endpoint == "web.start":
        typed, replaces = request.form.get("email", ""), request.form.get(REPLACES, "")
        return address_page(typed, Problem(LOST_FORM, 400, field=False), replaces)
    verification = _seen((request.view_args or {})["verification_id"])
    if request.endpoint == "web.check":
        return answer_to_form(
            verification, Problem(LOST_FORM, 400, field=False), request.form.get("code", "")
        )
    if request.endpoint == "web.new_code":
        return answer_to_new_code(verification, Problem(LOST_BUTTON, 400, field=False))
    return answer_to_form(verification, Problem(LOST_BUTTON, 400, field=False))
