"""The addresses of the operators' page. Every form works without JavaScript, and has a token."""

from __future__ import annotations

import logging
import re
from contextlib import suppress

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response as AnyResponse

from sentinel import TRANSIENT, Backpressure, PermanentError
from verifier.container import current_container
from verifier.domain.errors import LimitReached
from verifier.ops.page.board import current_board
from verifier.ops.page.sessions import forget
from verifier.store.dead_letters import ON_ITS_WAY, dead_letters_named, discard_dead_letters, why_not_revived
from verifier.store.ops.logins import end_session
from verifier.web.security import PAGE_HEADERS, csrf

log = logging.getLogger(__name__)

blueprint = Blueprint("ops", __name__, url_prefix="/ops")

Answer = AnyResponse | str | tuple[str, int] | tuple[str, int, dict[str, str]]

# Without a script the page renews itself; in seconds.
RENEW_AFTER_S = 5
_ACT_FOR_S = 5.0
_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{1,4})")
_OPEN = frozenset({"ops.page", "ops.log_in"})
_AWAY = (*TRANSIENT, PermanentError, Backpressure)
_LOST_FORM = "This form was open for too long, or your browser keeps no cookies, so nothing was done. Please send it again."
_FRAMED_BY_NOBODY = {
    "Content-Security-Policy": PAGE_HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'self'", "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
}


@blueprint.after_request
def _let_nobody_frame(response: Response) -> Response:
    """Keep other pages from leading an operator's click onto a button of this one."""
    if response.mimetype == "text/html":
        response.headers.extend(_FRAMED_BY_NOBODY)
    return response


@blueprint.before_request
def _require_login() -> Answer | tuple[Response, int] | None:
    if request.endpoint in _OPEN or current_board().session() is not None:
        return None
    if request.endpoint == "ops.state":
        return jsonify(error="Log in at /ops."), 401
    return redirect(url_for("ops.page"), 303)


@blueprint.before_request
def _require_token() -> Answer | None:
    """Lead back where a form comes without our token; the login asks for the password once more."""
    try:
        csrf.protect()
    except CSRFError:
        if request.endpoint == "ops.log_in":
            return _login(_LOST_FORM, 400)
        flash(_LOST_FORM)
        return redirect(url_for("ops.page"), 303)
    return None


@blueprint.get("")
def page() -> Answer:
    """Show how things are, or ask for the password."""
    board = current_board()
    if board.session() is None:
        return _login()
    state = board.state()
    return render_template("ops/page.html", state=state, renew_after_s=RENEW_AFTER_S)


@blueprint.get("/state")
def state() -> Response:
    """Return the parts of the page as they are now, for its script."""
    found = current_board().state()
    sight, verdict = found.sight, found.verdict
    return jsonify(
        tone=verdict.tone,
        headline=verdict.headline,
        age_s=round(sight.age_s, 1),
        stale=sight.stale,
        ask_again_ms=found.ask_again_ms,
        parts=found.parts,
    )


@blueprint.post("/login")
def log_in() -> Answer:
    """Judge the typed password."""
    board = current_board()
    try:
        is_right = board.passwords.is_right(request.form.get("password", ""), request.remote_addr or "")
    except LimitReached as error:
        return _login(str(error), error.status, {"Retry-After": str(error.retry_after_s)})
    if not is_right:
        return _login("This is not the password.", 422)
    response = make_response(redirect(url_for("ops.page"), 303))
    board.sessions.begin(response)
    return response


@blueprint.post("/logout")
def log_out() -> Answer:
    """End this login, in all processes; where Redis is away at least in this one and in the browser."""
    board = current_board()
    if (session := board.session()) is not None:
        board.end(session)
        with suppress(*_AWAY):
            current_container().link.run(
                lambda client: end_session(client, session.id, session.ends_at), deadline_s=_ACT_FOR_S
            )
    response = make_response(redirect(url_for("ops.page"), 303))
    forget(response)
    return response


@blueprint.get("/dead-letters/<name>")
def letter(name: str) -> Answer:
    """Show all that is known of a dead letter, but the code."""
    if _NAME.fullmatch(name) is None:
        abort(404)
    try:
        found = current_container().link.run(
            lambda client: dead_letters_named(client, [name]), deadline_s=_ACT_FOR_S
        )
    except _AWAY as error:
        flash(f"Redis can't be asked now: {error}")
        return redirect(url_for("ops.page"), 303)
    if not found:
        flash(f"There is no dead letter {name} any more.")
        return redirect(url_for("ops.page"), 303)
    return render_template("ops/letter.html", letter=found[0])


@blueprint.post("/dead-letters/<name>/<action>")
def act(name: str, action: str) -> Answer:
    """Requeue or discard a dead letter, and say what came of it."""
    found = _NAME.fullmatch(name)
    if found is None or action not in {"requeue", "discard"}:
        abort(404)
    try:
        said = _requeue(found[1], int(found[2])) if action == "requeue" else _discard(name)
    except _AWAY as error:
        said = f"Nothing is known to have been done, because Redis can't be reached: {error}"
    log.info("An operator at %s: %s %s: %s", request.remote_addr, action, name, said)
    flash(said)
    return redirect(url_for("ops.page"), 303)


def _requeue(verification_id: str, number: int) -> str:
    deliveries = current_board().deliveries
    what, newest = current_container().link.run(
        lambda client: deliveries.revive(client, verification_id, number), deadline_s=_ACT_FOR_S
    )
    if what in ON_ITS_WAY:
        return f"Delivery {verification_id}-{newest} {ON_ITS_WAY[what]}"
    why = why_not_revived(what, newest, deliveries.least_life_s)
    return f"{verification_id}-{number} was not requeued: {why}."


def _discard(name: str) -> str:
    current_container().link.run(lambda client: discard_dead_letters(client, [name]), deadline_s=_ACT_FOR_S)
    return f"The dead letter {name} was discarded."


def _login(problem: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return render_template("ops/login.html", sentence=problem), status, headers or {}
