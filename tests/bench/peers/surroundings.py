"""What all peers share: the way to Redis through Sentinel, and a mail as large as ours.

Everything here is what the libraries' own documentation shows; the mail is filled in without a template
engine, which favours the peers a little.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from flask import Flask
from flask_mail import Mail, Message
from redis import Redis
from redis.sentinel import Sentinel

CODE = "123456"
QUEUE = "mail"
_HEADERS_AND_TEXT = 1100
"""About what Flask-Mail's headers, borders and the text take; the rest is HTML."""

TEXT = f"""Your code:

    {CODE}

Type it where you were asked for it. It works for 10 minutes, and only once.

You did not ask for it? Then somebody probably mistyped their address.
"""


@dataclass(frozen=True)
class Surroundings:
    """What the bench tells its peers, as JSON in one variable of their environment."""

    sentinels: list[tuple[str, int]]
    master_name: str
    username: str
    password: str
    sentinel_username: str
    sentinel_password: str
    smtp_port: int
    mail_bytes: int


VARIABLE = "BENCH_SURROUNDINGS"
FINISHED_VARIABLE = "BENCH_FINISHED_MAIL"
"""Set: the jobs hand over a finished mail through smtplib."""


def read() -> Surroundings:
    """Give what the bench said."""
    values = json.loads(os.environ[VARIABLE])
    values["sentinels"] = [(host, port) for host, port in values["sentinels"]]
    return Surroundings(**values)


def sentinel_login(given: Surroundings) -> dict[str, str]:
    """Give redis-py's arguments for the sentinels."""
    return {"username": given.sentinel_username, "password": given.sentinel_password}


def redis_client(given: Surroundings) -> Redis:
    """Give redis-py's own client that asks Sentinel for the master."""
    sentinel = Sentinel(
        given.sentinels,
        sentinel_kwargs=sentinel_login(given),
        username=given.username,
        password=given.password,
    )
    client: Redis = sentinel.master_for(given.master_name)
    return client


def make_app(given: Surroundings) -> tuple[Flask, Mail]:
    """Make a Flask app with Flask-Mail, as its documentation does."""
    app = Flask("peer")
    app.config.update(
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=given.smtp_port,
        MAIL_DEFAULT_SENDER=("Verifier", "verifier@localhost"),
    )
    return app, Mail(app)


def html(mail_bytes: int) -> str:
    """Give HTML that fills a mail up to the size of ours."""
    line = "<p style='margin:0;font-size:14px;line-height:21px;color:#546072;'></p>\n"
    return f"<h1>{CODE}</h1>\n" + line * max(1, (mail_bytes - _HEADERS_AND_TEXT) // len(line))


def message(address: str, body: str) -> Message:
    """Give one mail."""
    return Message(subject=f"{CODE} is your code", recipients=[address], body=TEXT, html=body)
