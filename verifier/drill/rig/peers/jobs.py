"""The job of all peers: one mail, through Flask-Mail in an app context, or a finished one through smtplib.

The finished mail is a peer at its fastest: nothing is built, only handed over. The HTML is filled in without a
template engine, which favours the peers a little.
"""

from __future__ import annotations

import secrets
import smtplib

import peer_settings
from flask import Flask
from flask_mail import Mail, Message

_HEADERS_AND_TEXT_BYTES = 1100
"""About what Flask-Mail's headers, borders and the text take; the rest is HTML."""
_LINE = "<p style='margin:0;font-size:14px;line-height:21px;color:#546072;'></p>\n"
_FILLING = _LINE * max(1, (peer_settings.MAIL_BYTES - _HEADERS_AND_TEXT_BYTES) // len(_LINE))
_TEXT = """Your code:

    {code}

Type it where you were asked for it. It works for 10 minutes, and only once.

You did not ask for it? Then somebody probably mistyped their address.
"""

app = Flask("peer")
app.config.update(
    MAIL_SERVER=peer_settings.MAIL_SERVER,
    MAIL_PORT=peer_settings.MAIL_PORT,
    MAIL_DEFAULT_SENDER=("Verifier", "verifier@localhost"),
)
_mail = Mail(app)


def _message(address: str) -> Message:
    code = f"{secrets.randbelow(10**6):06}"
    return Message(
        subject=f"{code} is your code",
        recipients=[address],
        body=_TEXT.format(code=code),
        html=f"<h1>{code}</h1>\n{_FILLING}",
    )


with app.app_context():
    _FINISHED = _message("somebody@example.org").as_bytes()


def send(address: str) -> None:
    """Mail a code."""
    if peer_settings.MAIL_IS_FINISHED:
        with smtplib.SMTP(peer_settings.MAIL_SERVER, peer_settings.MAIL_PORT) as relay:
            relay.sendmail("verifier@localhost", [address], _FINISHED)
        return
    with app.app_context():
        _mail.send(_message(address))
