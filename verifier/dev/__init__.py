"""For development only: what `flask run` brings with it where no sentinels are configured, and the mailbox.

embedded         the embedded surroundings: topology, mail server and worker, started in this order; where to look
mail_server      takes every mail and keeps it in a Maildir
maildir          reads that Maildir
mailbox          shows the mails at /dev/mailbox
running          leaves for a second terminal what leads its commands here
request_lines    which requests get a line in the log
worker_process   keeps a worker running beside the app

This file needs nothing but Python, so that a deployment can ask whether it is a developer's.
"""

from __future__ import annotations

from collections.abc import Mapping

# Where the mailbox is, for the inner process; set by the outer one, never by people.
MAILBOX_VARIABLE = "VERIFIER_EMBEDDED_MAILBOX"


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether no sentinels are configured, or whether the outer process has brought them."""
    configured = any(
        environ.get(name, "").strip() for name in ("VERIFIER_SENTINELS", "VERIFIER_SENTINELS_FILE")
    )
    return not configured or MAILBOX_VARIABLE in environ
