"""The development mailbox: what the embedded service sent, to look at and for scripts.

It holds codes, so it answers on this machine only: under its loopback names, and where the app listens nowhere else.
Read-only. It exists only beside the embedded topology, whose mail server delivers into the Maildir. Mails are
shown as text: the HTML of a mail is never rendered.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, jsonify, render_template, request

from verifier.dev.maildir import Mail, newest_mails
from verifier.domain.errors import UnknownHost
from verifier.domain.hosts import host_name_in, is_loopback_name
from verifier.domain.times import iso_time

_CODE = re.compile(r"(?<!\d)\d{4,10}(?!\d)")


def init_app(app: Flask, maildir: Path) -> None:
    """Serve the mails of a Maildir at /dev/mailbox and /dev/mailbox.json."""
    blueprint = Blueprint("mailbox", __name__, url_prefix="/dev")
    blueprint.before_request(require_loopback_host)

    @blueprint.get("/mailbox")
    def show() -> str:
        return render_template(
            "dev/mailbox.html", mails=newest_mails(maildir), code_in=code_in, clock=clock_time
        )

    @blueprint.get("/mailbox.json")
    def as_json() -> Response:
        return jsonify([represent(mail) for mail in newest_mails(maildir)])

    app.register_blueprint(blueprint)


def require_loopback_host() -> None:
    """Raise UnknownHost unless the request names this machine as itself: see verifier/web/hosts.py."""
    name = host_name_in(request.headers.get("Host", ""))
    if name is None or not is_loopback_name(name):
        raise UnknownHost


def represent(mail: Mail) -> dict[str, str]:
    """Return a mail as it stands in the JSON, its time in ISO 8601."""
    return {**asdict(mail), "received_at": str(iso_time(mail.received_at))}


def code_in(mail: Mail) -> str:
    """Return the code that a mail carries in its subject; none where there is none."""
    match = _CODE.search(mail.subject)
    return match.group() if match else ""


def clock_time(mail: Mail) -> str:
    """Return when a mail came, in this machine's time: the mailbox is never read from elsewhere."""
    return datetime.fromtimestamp(mail.received_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
