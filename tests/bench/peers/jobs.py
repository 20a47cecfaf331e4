"""The job of all peers: one mail, through Flask-Mail in an app context, or a finished one through smtplib.

The finished mail is a peer at its fastest: nothing is built or rendered, only handed over.
"""

from __future__ import annotations

import os
import smtplib

from tests.bench.peers import surroundings

GIVEN = surroundings.read()
APP, MAIL = surroundings.make_app(GIVEN)
HTML = surroundings.html(GIVEN.mail_bytes)
with APP.app_context():
    FINISHED = surroundings.message("somebody@example.org", HTML).as_bytes()
HANDS_OVER_FINISHED = surroundings.FINISHED_VARIABLE in os.environ


def send(address: str) -> None:
    """Send the mail."""
    if HANDS_OVER_FINISHED:
        with smtplib.SMTP("127.0.0.1", GIVEN.smtp_port) as smtp:
            smtp.sendmail("verifier@localhost", [address], FINISHED)
        return
    with APP.app_context():
        MAIL.send(surroundings.message(address, HTML))
