"""The development mailbox: what the embedded service sent, to look at and for scripts.

It holds codes, so it answers on this machine only: under its loopback names, and where the app listens nowhere else. It
exists only beside the embedded topology, whose mail server delivers into the Maildir. The HTML of a mail is shown in a
frame that runs no script, loads nothing and belongs to no origin.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from verifier.dev.maildir import (
    MOST_MAILS,
    NEWEST,
    Mail,
    count_mails,
    find_mail,
    newest_mails,
    remove_mails,
    source_of,
)
from verifier.domain.errors import UnknownHost
from verifier.domain.hosts import host_name_in, is_loopback_name
from verifier.domain.times import iso_time
from verifier.web.security import csrf

A_PAGE = 50
_LONGEST_FILTER = 254
_CODE = re.compile(r"(?<!\d)\d{4,10}(?!\d)")
_LINK = re.compile(r"https?://[^\s<>\"]+")
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
# https://www.w3.org/TR/CSP3/#directive-sandbox
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


def init_app(app: Flask, maildir: Path, note: str = "") -> None:
    """Serve the mails of a Maildir under /dev/mailbox, and as JSON at /dev/mailbox.json; `note` stands above them."""
    blueprint = Blueprint("mailbox", __name__, url_prefix="/dev")
    blueprint.before_request(require_loopback_host)

    @blueprint.get("/mailbox")
    def show() -> str:
        to = _filter()
        total = count_mails(maildir, to=to)
        pages = max(1, -(-total // A_PAGE))
        page = min(max(1, request.args.get("page", 1, type=int)), pages)
        mails = newest_mails(maildir, A_PAGE, offset=(page - 1) * A_PAGE, to=to)
        return render_template(
            "dev/mailbox.html",
            mails=mails,
            total=total,
            to=to,
            page=page,
            pages=pages,
            note=note,
            **_READING,
        )

    @blueprint.get("/mailbox/<key>")
    def show_mail(key: str) -> str:
        mail = find_mail(maildir, key) or abort(404)
        views = [*(["html"] if mail.html else []), "text", "source"]
        wanted = request.args.get("view", views[0])
        source = (source_of(maildir, key) or b"").decode("utf-8", "replace")
        view = wanted if wanted in views else views[0]
        return render_template("dev/mail.html", mail=mail, views=views, view=view, source=source, **_READING)

    @blueprint.get("/mailbox/<key>/html")
    def show_html(key: str) -> Response:
        mail = find_mail(maildir, key) or abort(404)
        response = Response(_HEAD.sub(r'\g<0><base target="_blank">', mail.html, count=1))
        response.headers["Content-Security-Policy"] = MAIL_POLICY
        return response

    @blueprint.post("/mailbox/clear")
    def clear() -> AnyResponse:
        csrf.protect()
        to = request.form.get("to", "")[:_LONGEST_FILTER]
        remove_mails(maildir, newest_mails(maildir, None, to=to))
        return redirect(url_for("mailbox.show"), 303)

    @blueprint.get("/mailbox.json")
    def as_json() -> Response | tuple[Response, int]:
        limit, offset = _number("limit", NEWEST, 1, MOST_MAILS), _number("offset", 0, 0, MOST_MAILS)
        if limit is None or offset is None:
            sentence = f"limit must be a number from 1 to {MOST_MAILS}, offset one from 0 to {MOST_MAILS}."
            return jsonify(error=sentence), 400
        to = _filter()
        total = count_mails(maildir, to=to)
        response = jsonify([represent(mail) for mail in newest_mails(maildir, limit, offset=offset, to=to)])
        response.headers["X-Total-Count"] = str(total)
        if offset + limit < total:
            following = url_for("mailbox.as_json", to=to or None, limit=limit, offset=offset + limit)
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    # Another site's page can't send this: a browser would ask for leave first, and gets none.
    @blueprint.delete("/mailbox.json")
    def clear_by_script() -> tuple[str, int]:
        remove_mails(maildir, newest_mails(maildir, None, to=_filter()))
        return "", 204

    app.register_blueprint(blueprint)


def require_loopback_host() -> None:
    """Raise UnknownHost unless the request names this machine as itself: see verifier/web/hosts.py."""
    name = host_name_in(request.headers.get("Host", ""))
    if name is None or not is_loopback_name(name):
        raise UnknownHost


def represent(mail: Mail) -> dict[str, str]:
    """Return a mail as it stands in the JSON, its time in ISO 8601, with the code that it carries."""
    return {**asdict(mail), "received_at": str(iso_time(mail.received_at)), "code": code_in(mail)}


def code_in(mail: Mail) -> str:
    """Return the code that a mail carries in its subject; none where there is none."""
    match = _CODE.search(mail.subject)
    return match.group() if match else ""


def link_in(mail: Mail) -> str:
    """Return the first link of a mail's text; none where there is none."""
    match = _LINK.search(mail.text)
    return match.group().rstrip(".,;:)") if match else ""


def clock_time(mail: Mail) -> str:
    """Return when a mail came, in this machine's time: the mailbox is never read from elsewhere."""
    return datetime.fromtimestamp(mail.received_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


_READING = {"code_in": code_in, "link_in": link_in, "clock": clock_time}


def _filter() -> str:
    return request.args.get("to", "").strip()[:_LONGEST_FILTER]


def _number(name: str, usual: int, least: int, most: int) -> int | None:
    text = request.args.get(name, str(usual))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    return number if least <= number <= most else None
