"""The pages as answers: which template, which status, which headers."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from verifier.container import current_service
from verifier.domain.verifications import FAILED, DeliveryStatus, Status, Verification, ended_sentence
from verifier.domain.words import Words
from verifier.web.browsers import this_browser
from verifier.web.wording import (
    describe_attempts,
    describe_delivery,
    describe_life,
    describe_resend,
    describe_wrong_code,
    masked,
)

Answer = AnyResponse | tuple[str, int] | tuple[str, int, dict[str, str]]

ENDED_STATUS = 409


@dataclass(frozen=True)
class Problem:
    """Why a form comes back: the sentence, the HTTP status, and whether the typed text is at fault."""

    sentence: Words
    status: int = 422
    field: bool = True
    retry_after_s: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def address_page(typed: str = "", problem: Problem | None = None, replaces: str = "") -> Answer:
    """Ask for the address; after a problem, with what was typed.

    Args:
        typed: stands in the field.
        problem: why the form comes back.
        replaces: the verification whose address is changed; empty where there is none.
    """
    digits = current_service().rules.code_digits
    page = render_template("address.html", typed=typed, problem=problem, replaces=replaces, digits=digits)
    return (page, 200) if problem is None else (page, problem.status, problem.headers)


def suggestion_page(typed: str, meant: str, replaces: str) -> Answer:
    """Ask whether another address was meant; nothing is done yet, and either is one press away."""
    return render_template("suggestion.html", typed=typed, meant=meant, replaces=replaces), 200


def verification_page(verification: Verification, *, is_after_wrong_code: bool = False) -> Answer:
    """Show where a verification stands: the form for the code, the verified page, or how it ended."""
    service = current_service()
    status = service.status(verification)
    if status is Status.PENDING:
        left = verification.check_attempts_remaining(service.rules)
        problem = Problem(describe_wrong_code(left)) if is_after_wrong_code else None
        return _pending_page(verification, problem=problem), 200
    return _ended_page(verification, status), 200


def answer_to_form(verification: Verification, problem: Problem, typed: str = "") -> Answer:
    """Answer a form on the page of the code that can't be done.

    Where the verification ended meanwhile, the page says that instead. The domain's status for that, 409,
    is used, as everywhere; reading the same page is no conflict and gives 200.
    """
    status = current_service().status(verification)
    if status is Status.PENDING:
        return _pending_page(verification, typed, problem), problem.status, problem.headers
    if status is Status.APPROVED:
        return to_page_of(verification.id)
    return _ended_page(verification, status), ENDED_STATUS


def answer_to_new_code(verification: Verification, problem: Problem) -> Answer:
    """Answer a form that asks for a new code and can't be done now, on the page on which it stands."""
    status = current_service().status(verification)
    if status is Status.PENDING:
        return _pending_page(verification, problem=problem), problem.status, problem.headers
    return _ended_page(verification, status, problem), problem.status, problem.headers


def to_page_of(verification_id: str) -> AnyResponse:
    """Lead to the page of a verification."""
    return redirect(url_for("web.show", verification_id=verification_id), 303)


def _pending_page(verification: Verification, typed: str = "", problem: Problem | None = None) -> str:
    """Show the form for the code, or a way on where its mail did not get out, which only its own browser is told."""
    service = current_service()
    now = service.clock()
    attempts_left = verification.check_attempts_remaining(service.rules)
    is_ours = this_browser().started(verification)
    is_failed = is_ours and verification.delivery.status in FAILED
    return render_template(
        "failed.html" if is_failed else "code.html",
        verification=verification,
        is_ours=is_ours,
        is_rejected=verification.delivery.status is DeliveryStatus.REJECTED,
        address=_shown_address(verification),
        digits=service.rules.code_digits,
        expires_in_s=max(0, round(verification.expires_at - now)),
        mail=describe_delivery(verification.delivery, now),
        resend=describe_resend(verification, service.rules, now),
        attempts=describe_attempts(attempts_left) if verification.check_attempts else None,
        life=describe_life(verification.expires_at - now),
        typed=typed,
        problem=problem,
    )


def _ended_page(verification: Verification, status: Status, problem: Problem | None = None) -> str:
    if status is Status.APPROVED:
        return render_template("verified.html", address=_shown_address(verification))
    return render_template(
        "ended.html",
        verification=verification,
        is_ours=this_browser().started(verification),
        address=_shown_address(verification),
        sentence=ended_sentence(status),
        problem=problem,
    )


def _shown_address(verification: Verification) -> str:
    """Return the address for the browser that it was typed in; for any other one not all of it."""
    if this_browser().started(verification):
        return verification.address
    return masked(verification.address)
