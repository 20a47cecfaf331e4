"""The job of all peers: one mail through Flask-Mail, in an app context."""

from __future__ import annotations

from tests.bench.peers import surroundings

GIVEN = surroundings.read()
APP, MAIL = surroundings.make_app(GIVEN)
HTML = surroundings.html(GIVEN.mail_bytes)


def send(address: str) -> None:
    """Send the mail."""
    with APP.app_context():
        MAIL.send(surroundings.message(address, HTML))
