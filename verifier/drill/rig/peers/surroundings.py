"""What the peers share: where Redis and the relay are, and the mail itself."""

from __future__ import annotations

import os
import secrets
import smtplib
from email.message import EmailMessage
from email.utils import make_msgid

MASTER = os.environ["VERIFIER_SENTINEL_MASTER"]
USER, PASSWORD = os.environ["VERIFIER_REDIS_USERNAME"], os.environ["VERIFIER_REDIS_PASSWORD"]
SENTINEL_USER = os.environ["VERIFIER_SENTINEL_USERNAME"]
SENTINEL_PASSWORD = os.environ["VERIFIER_SENTINEL_PASSWORD"]


def sentinels() -> list[tuple[str, int]]:
    """Give host and port of each sentinel."""
    parts = [each.rpartition(":") for each in os.environ["VERIFIER_SENTINELS"].split(",")]
    return [(host, int(port)) for host, _, port in parts]


def send_mail(recipient: str) -> None:
    """Mail a fresh code, in a session of its own."""
    message = EmailMessage()
    message["Subject"] = f"{secrets.randbelow(10**6):06} is your code"
    message["From"], message["To"] = "peer@localhost", recipient
    message["Message-ID"] = make_msgid(domain="localhost")
    message.set_content("The code stands in the subject.")
    host, port = os.environ["VERIFIER_MAIL_SERVER"], int(os.environ["VERIFIER_MAIL_PORT"])
    with smtplib.SMTP(host, port, local_hostname="localhost", timeout=15) as relay:
        relay.send_message(message)
